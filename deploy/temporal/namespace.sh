#!/bin/sh
# Makes the namespace that Remit runs in, once Temporal answers.
set -eu
tries=0
until temporal operator cluster health --address "$TEMPORAL_ADDRESS"; do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || exit 1
  sleep 2
done

namespace() {
  temporal operator namespace "$@" --namespace "$TEMPORAL_NAMESPACE" --address "$TEMPORAL_ADDRESS"
}
namespace describe || namespace create --retention "$RETENTION"
