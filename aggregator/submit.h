/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "proto/codec.h"

/* What SubmitCommand and SubmitCampaign say about a command. */
const Pathbell__V1__CommandTarget *submit_target_of(const Pathbell__V1__Command *command);
/* The target for people; "" = none. */
void submit_target(const Pathbell__V1__Command *command, char *ret_text, size_t size);
/* The keys that signed, as the envelope says; nobody here can check them. */
void submit_key_ids(const Pathbell__V1__SignedCommand *envelope, char *ret_text, size_t size);
/* The detail of the audit record. */
void submit_audit(const Pathbell__V1__Command *command, const ProtobufCBinaryData *envelope,
		  const char *target, char *ret_text, size_t size);
