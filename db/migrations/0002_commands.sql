ALTER TABLE "webhook_deliveries" DROP CONSTRAINT "webhook_deliveries_event_endpoint_key";--> statement-breakpoint
ALTER TABLE "sandbox_charges" DROP CONSTRAINT "sandbox_charges_status_known";--> statement-breakpoint
ALTER TABLE "idempotency_keys" ALTER COLUMN "response_status" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ALTER COLUMN "response_body" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "commands" ADD COLUMN "amount" bigint;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "command_id" text;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "lease_id" text;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "leased_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "merchants" ADD COLUMN "metadata" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "merchants" ADD COLUMN "updated_at" timestamp with time zone;--> statement-breakpoint
UPDATE "merchants" SET "updated_at" = "created_at";--> statement-breakpoint
ALTER TABLE "merchants" ALTER COLUMN "updated_at" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "authorized_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "capture_attempt" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "capture_sent_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "sandbox_charges" ADD COLUMN "capture_method" text DEFAULT 'automatic' NOT NULL;--> statement-breakpoint
ALTER TABLE "sandbox_charges" ADD COLUMN "amount_captured" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD COLUMN "resend_of" text;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_command_id_commands_id_fk" FOREIGN KEY ("command_id") REFERENCES "public"."commands"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_resend_of_webhook_deliveries_id_fk" FOREIGN KEY ("resend_of") REFERENCES "public"."webhook_deliveries"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_deliveries_event_endpoint_key" ON "webhook_deliveries" USING btree ("event_id","endpoint_id") WHERE "webhook_deliveries"."resend_of" is null;--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_kind_known" CHECK ("commands"."kind" in ('capture', 'cancel'));--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_swept" CHECK (("commands"."status" = 'open') = ("commands"."next_sweep_at" is not null));--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_response" CHECK (("idempotency_keys"."response_status" is null) = ("idempotency_keys"."response_body" is null));--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_lease" CHECK (("idempotency_keys"."lease_id" is null) = ("idempotency_keys"."leased_until" is null));--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_stands_for" CHECK (num_nonnulls("idempotency_keys"."response_status", "idempotency_keys"."command_id", "idempotency_keys"."lease_id") > 0);--> statement-breakpoint
ALTER TABLE "sandbox_charges" ADD CONSTRAINT "sandbox_charges_status_known" CHECK ("sandbox_charges"."status" in ('created', 'processing', 'authorized', 'succeeded', 'failed', 'canceled'));--> statement-breakpoint
ALTER TABLE "commands" DROP COLUMN "parameters";
--> statement-breakpoint
UPDATE "sandbox_charges" SET "amount_captured" = "amount" WHERE "status" = 'succeeded';
