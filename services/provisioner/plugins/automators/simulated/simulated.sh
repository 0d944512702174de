#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One program serves as provider and as automator.
exec "${0%/*}/../../providers/simulated/simulated.sh" "$@"
