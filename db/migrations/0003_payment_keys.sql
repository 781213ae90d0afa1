ALTER TABLE "payments" ADD COLUMN "capture_amount" bigint;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "cancel_attempt" integer DEFAULT 0 NOT NULL;