CREATE TABLE "sandbox_transfers" (
	"id" text PRIMARY KEY NOT NULL,
	"key" text NOT NULL,
	"kind" text NOT NULL,
	"object_id" text NOT NULL,
	"charge_id" text,
	"target" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" char(3) NOT NULL,
	"status" text NOT NULL,
	"failure_code" text,
	"starts_at" timestamp with time zone,
	"decides_at" timestamp with time zone,
	"returns_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "sandbox_transfers_key_key" UNIQUE("key"),
	CONSTRAINT "sandbox_transfers_kind_known" CHECK ("sandbox_transfers"."kind" in ('refund', 'payout')),
	CONSTRAINT "sandbox_transfers_status_known" CHECK ("sandbox_transfers"."status" in ('unavailable', 'accepted', 'processing', 'succeeded', 'failed', 'canceled'))
);
--> statement-breakpoint
CREATE TABLE "payouts" (
	"id" text PRIMARY KEY NOT NULL,
	"merchant_id" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" char(3) NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"destination" json NOT NULL,
	"destination_sealed" text NOT NULL,
	"failure_code" text,
	"needs_attention" boolean DEFAULT false NOT NULL,
	"description" text,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"provider" text NOT NULL,
	"provider_ref" text,
	"send_attempt" integer DEFAULT 0 NOT NULL,
	"sent_at" timestamp with time zone,
	"cancel_attempt" integer DEFAULT 0 NOT NULL,
	"next_sweep_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "payouts_provider_ref_key" UNIQUE("provider","provider_ref"),
	CONSTRAINT "payouts_amount_positive" CHECK ("payouts"."amount" > 0),
	CONSTRAINT "payouts_currency_upper" CHECK ("payouts"."currency" = upper("payouts"."currency")),
	CONSTRAINT "payouts_status_known" CHECK ("payouts"."status" in ('pending', 'processing', 'completed', 'failed', 'canceled')),
	CONSTRAINT "payouts_failure" CHECK (("payouts"."status" = 'failed') = ("payouts"."failure_code" is not null))
);
--> statement-breakpoint
CREATE TABLE "provider_news" (
	"provider" text PRIMARY KEY NOT NULL,
	"read_until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "refunds" (
	"id" text PRIMARY KEY NOT NULL,
	"merchant_id" text NOT NULL,
	"payment_id" text NOT NULL,
	"amount" bigint NOT NULL,
	"currency" char(3) NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"reason" text,
	"failure_code" text,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"provider" text NOT NULL,
	"provider_ref" text,
	"send_attempt" integer DEFAULT 0 NOT NULL,
	"sent_at" timestamp with time zone,
	"next_sweep_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "refunds_provider_ref_key" UNIQUE("provider","provider_ref"),
	CONSTRAINT "refunds_amount_positive" CHECK ("refunds"."amount" > 0),
	CONSTRAINT "refunds_currency_upper" CHECK ("refunds"."currency" = upper("refunds"."currency")),
	CONSTRAINT "refunds_status_known" CHECK ("refunds"."status" in ('pending', 'succeeded', 'failed')),
	CONSTRAINT "refunds_failure" CHECK (("refunds"."status" = 'failed') = ("refunds"."failure_code" is not null))
);
--> statement-breakpoint
ALTER TABLE "commands" DROP CONSTRAINT "commands_kind_known";--> statement-breakpoint
ALTER TABLE "payments" DROP CONSTRAINT "payments_captured";--> statement-breakpoint
ALTER TABLE "balance_transactions" DROP CONSTRAINT "balance_transactions_type_known";--> statement-breakpoint
ALTER TABLE "payouts" ADD CONSTRAINT "payouts_merchant_id_merchants_id_fk" FOREIGN KEY ("merchant_id") REFERENCES "public"."merchants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refunds" ADD CONSTRAINT "refunds_merchant_id_merchants_id_fk" FOREIGN KEY ("merchant_id") REFERENCES "public"."merchants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refunds" ADD CONSTRAINT "refunds_payment_id_payments_id_fk" FOREIGN KEY ("payment_id") REFERENCES "public"."payments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sandbox_transfers_object_idx" ON "sandbox_transfers" USING btree ("object_id");--> statement-breakpoint
CREATE INDEX "sandbox_transfers_decides_idx" ON "sandbox_transfers" USING btree ("decides_at");--> statement-breakpoint
CREATE INDEX "sandbox_transfers_returns_idx" ON "sandbox_transfers" USING btree ("returns_at");--> statement-breakpoint
CREATE INDEX "sandbox_transfers_charge_idx" ON "sandbox_transfers" USING btree ("charge_id");--> statement-breakpoint
CREATE INDEX "payouts_list_idx" ON "payouts" USING btree ("merchant_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payouts_status_idx" ON "payouts" USING btree ("merchant_id","status","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payouts_sweep_idx" ON "payouts" USING btree ("next_sweep_at") WHERE "payouts"."next_sweep_at" is not null;--> statement-breakpoint
CREATE INDEX "payouts_open_idx" ON "payouts" USING btree ("id") WHERE "payouts"."status" in ('pending', 'processing');--> statement-breakpoint
CREATE INDEX "refunds_list_idx" ON "refunds" USING btree ("merchant_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "refunds_status_idx" ON "refunds" USING btree ("merchant_id","status","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "refunds_payment_idx" ON "refunds" USING btree ("payment_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "refunds_sweep_idx" ON "refunds" USING btree ("next_sweep_at") WHERE "refunds"."next_sweep_at" is not null;--> statement-breakpoint
CREATE INDEX "refunds_open_idx" ON "refunds" USING btree ("id") WHERE "refunds"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "sandbox_charges_decides_idx" ON "sandbox_charges" USING btree ("decides_at");--> statement-breakpoint
CREATE INDEX "balance_transactions_type_idx" ON "balance_transactions" USING btree ("merchant_id","type","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_kind_known" CHECK ("commands"."kind" in ('capture', 'cancel', 'complete', 'fail'));--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_captured" CHECK ("payments"."status" in ('failed', 'canceled') or ("payments"."status" = 'succeeded') = ("payments"."amount_captured" > 0));--> statement-breakpoint
ALTER TABLE "balance_transactions" ADD CONSTRAINT "balance_transactions_type_known" CHECK ("balance_transactions"."type" in ('payment', 'late_payment', 'topup', 'refund', 'refund_settlement', 'refund_failure', 'late_refund', 'payout', 'payout_settlement', 'payout_failure', 'payout_cancel', 'late_payout'));