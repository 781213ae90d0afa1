-- The ledger's laws, which no code of ours can break: a transaction's postings sum to zero, what was
-- posted stays, and nothing is added to it. The sum is checked at commit, so that postings can be
-- inserted one after the other.
CREATE FUNCTION refuse_unbalanced_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  total numeric;
  id text := CASE TG_TABLE_NAME WHEN 'ledger_postings' THEN to_jsonb(NEW) ->> 'transaction_id' ELSE to_jsonb(NEW) ->> 'id' END;
BEGIN
  SELECT sum(amount) INTO total FROM ledger_postings WHERE transaction_id = id;
  IF total IS DISTINCT FROM 0 THEN
    RAISE EXCEPTION 'balance transaction % does not balance: its postings sum to %', id, total
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER ledger_postings_balanced AFTER INSERT ON ledger_postings
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_transaction();
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER balance_transactions_balanced AFTER INSERT ON balance_transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_transaction();
--> statement-breakpoint
CREATE FUNCTION refuse_change_of_posted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is posted: correct it with another transaction', TG_TABLE_NAME
    USING ERRCODE = 'check_violation';
END $$;
--> statement-breakpoint
CREATE TRIGGER ledger_postings_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_postings
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_posted();
--> statement-breakpoint
CREATE TRIGGER balance_transactions_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON balance_transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_posted();
--> statement-breakpoint
CREATE FUNCTION refuse_late_posting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM balance_transactions
    WHERE id = NEW.transaction_id AND xact_id = pg_current_xact_id()::text
  ) THEN
    RAISE EXCEPTION 'balance transaction % is posted: correct it with another transaction', NEW.transaction_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER ledger_postings_in_time BEFORE INSERT ON ledger_postings
  FOR EACH ROW EXECUTE FUNCTION refuse_late_posting();
