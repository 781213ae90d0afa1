-- All at once and payments first, as everybody locks them: who runs meanwhile waits, and nobody in a circle.
SET LOCAL lock_timeout = '10s';--> statement-breakpoint
LOCK TABLE "payments", "orders", "commands", "webhook_deliveries", "events" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
CREATE TABLE "payment_links" (
	"id" text PRIMARY KEY NOT NULL,
	"merchant_id" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" char(3) NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"url" text NOT NULL,
	"description" text,
	"expires_at" timestamp with time zone,
	"payment_id" text,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"next_sweep_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "payment_links_amount_positive" CHECK ("payment_links"."amount" > 0),
	CONSTRAINT "payment_links_currency_upper" CHECK ("payment_links"."currency" = upper("payment_links"."currency")),
	CONSTRAINT "payment_links_status_known" CHECK ("payment_links"."status" in ('active', 'paid', 'expired', 'canceled')),
	CONSTRAINT "payment_links_paid" CHECK (("payment_links"."status" = 'paid') = ("payment_links"."payment_id" is not null))
);
--> statement-breakpoint
CREATE TABLE "inbound_events" (
	"id" text PRIMARY KEY NOT NULL,
	"merchant_id" text NOT NULL,
	"event_id" text NOT NULL,
	"invoice_id" text NOT NULL,
	"amount" bigint NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"told_by" text,
	"next_sweep_at" timestamp with time zone,
	"applied_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "inbound_events_event_key" UNIQUE("merchant_id","event_id"),
	CONSTRAINT "inbound_events_amount_positive" CHECK ("inbound_events"."amount" > 0),
	CONSTRAINT "inbound_events_status_known" CHECK ("inbound_events"."status" in ('pending', 'applied', 'ignored', 'rejected')),
	CONSTRAINT "inbound_events_applied" CHECK (("inbound_events"."status" = 'applied') = ("inbound_events"."applied_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "invoices" (
	"id" text PRIMARY KEY NOT NULL,
	"merchant_id" text NOT NULL,
	"number" bigint NOT NULL,
	"amount" bigint NOT NULL,
	"amount_paid" bigint DEFAULT 0 NOT NULL,
	"currency" char(3) NOT NULL,
	"status" text DEFAULT 'sent' NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "invoices_number_key" UNIQUE("merchant_id","number"),
	CONSTRAINT "invoices_number_positive" CHECK ("invoices"."number" > 0),
	CONSTRAINT "invoices_amount_positive" CHECK ("invoices"."amount" > 0),
	CONSTRAINT "invoices_currency_upper" CHECK ("invoices"."currency" = upper("invoices"."currency")),
	CONSTRAINT "invoices_status_known" CHECK ("invoices"."status" in ('sent', 'partially_paid', 'paid')),
	CONSTRAINT "invoices_status_by_total" CHECK ("invoices"."status" = case
        when "invoices"."amount_paid" >= "invoices"."amount" then 'paid'
        when "invoices"."amount_paid" > 0 then 'partially_paid'
        else 'sent' end)
);
--> statement-breakpoint
ALTER TABLE "commands" DROP CONSTRAINT "commands_kind_known";--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "fulfil_by" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "payment_id" text;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "cancellation_reason" text;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "is_compensating" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "next_sweep_at" timestamp with time zone;--> statement-breakpoint
-- Orders that are there had no deadline, no workflow, and no way to be fulfilled. Those that are paid count
-- as fulfilled: nobody must be refunded for what was sent long ago. For the others the week begins now.
UPDATE "orders" SET "fulfil_by" = now() + interval '7 days',
	"next_sweep_at" = CASE WHEN "status" = 'created' THEN now() END,
	"status" = CASE WHEN "status" = 'paid' THEN 'fulfilled' ELSE "status" END,
	"cancellation_reason" = CASE WHEN "status" = 'canceled' THEN 'requested' END,
	"payment_id" = (SELECT "id" FROM "payments" WHERE "order_id" = "orders"."id" AND "status" = 'succeeded');--> statement-breakpoint
ALTER TABLE "orders" ALTER COLUMN "fulfil_by" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "payment_link_id" text;--> statement-breakpoint
ALTER TABLE "payment_links" ADD CONSTRAINT "payment_links_merchant_id_merchants_id_fk" FOREIGN KEY ("merchant_id") REFERENCES "public"."merchants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payment_links" ADD CONSTRAINT "payment_links_payment_id_payments_id_fk" FOREIGN KEY ("payment_id") REFERENCES "public"."payments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "inbound_events" ADD CONSTRAINT "inbound_events_merchant_id_merchants_id_fk" FOREIGN KEY ("merchant_id") REFERENCES "public"."merchants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "inbound_events" ADD CONSTRAINT "inbound_events_invoice_id_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."invoices"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invoices" ADD CONSTRAINT "invoices_merchant_id_merchants_id_fk" FOREIGN KEY ("merchant_id") REFERENCES "public"."merchants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "payment_links_list_idx" ON "payment_links" USING btree ("merchant_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payment_links_status_idx" ON "payment_links" USING btree ("merchant_id","status","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payment_links_sweep_idx" ON "payment_links" USING btree ("next_sweep_at") WHERE "payment_links"."next_sweep_at" is not null;--> statement-breakpoint
CREATE INDEX "payment_links_open_idx" ON "payment_links" USING btree ("id") WHERE "payment_links"."status" = 'active';--> statement-breakpoint
CREATE INDEX "inbound_events_invoice_idx" ON "inbound_events" USING btree ("invoice_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "inbound_events_sweep_idx" ON "inbound_events" USING btree ("next_sweep_at") WHERE "inbound_events"."next_sweep_at" is not null;--> statement-breakpoint
CREATE INDEX "inbound_events_open_idx" ON "inbound_events" USING btree ("id") WHERE "inbound_events"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "invoices_list_idx" ON "invoices" USING btree ("merchant_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "invoices_status_idx" ON "invoices" USING btree ("merchant_id","status","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_payment_id_payments_id_fk" FOREIGN KEY ("payment_id") REFERENCES "public"."payments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_payment_link_id_payment_links_id_fk" FOREIGN KEY ("payment_link_id") REFERENCES "public"."payment_links"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "orders_sweep_idx" ON "orders" USING btree ("next_sweep_at") WHERE "orders"."next_sweep_at" is not null;--> statement-breakpoint
CREATE INDEX "orders_open_idx" ON "orders" USING btree ("id") WHERE "orders"."status" in ('created', 'paid') or "orders"."is_compensating";--> statement-breakpoint
CREATE UNIQUE INDEX "payments_open_link_key" ON "payments" USING btree ("payment_link_id") WHERE "payments"."status" not in ('failed', 'canceled');--> statement-breakpoint
CREATE INDEX "payments_link_idx" ON "payments" USING btree ("payment_link_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "webhook_deliveries_event_idx" ON "webhook_deliveries" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_resend_idx" ON "webhook_deliveries" USING btree ("resend_of") WHERE "webhook_deliveries"."resend_of" is not null;--> statement-breakpoint
CREATE INDEX "events_created_idx" ON "events" USING btree ("created_at");--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_kind_known" CHECK ("commands"."kind" in ('capture', 'cancel', 'complete', 'fail', 'fulfill', 'close'));--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_paid" CHECK ("orders"."status" not in ('paid', 'fulfilled') or "orders"."payment_id" is not null);--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_canceled" CHECK (("orders"."status" = 'canceled') = ("orders"."cancellation_reason" is not null));--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_compensating" CHECK ("orders"."status" = 'canceled' or not "orders"."is_compensating");--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_for_one" CHECK (num_nonnulls("payments"."order_id", "payments"."payment_link_id") <= 1);