# One image for all of Remit's processes. Which one it runs is the command's to say: the api unless
# told, worker/main.ts, or scripts/migrate.ts before either of them.
FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY . .
RUN npm run build:workflows

FROM node:20.20.2-bookworm-slim
# Temporal's client trusts the system's certificates, and the slim image has none.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  WORKFLOW_BUNDLE=/app/build/workflows.js
WORKDIR /app
COPY --from=build /app ./
USER node
EXPOSE 8000
CMD ["node", "--import", "tsx", "api/main.ts"]
