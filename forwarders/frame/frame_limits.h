/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What docs/formats/frame.md promises and only the two halves of the codec need. */
#define FRAME_HEADER_SIZE   8
#define FRAME_MAX_TEXT	    1024
#define FRAME_MAX_LOG_LEVEL 7 /* of syslog(3): debug */
#define FRAME_MAX_ACK_LEVEL 3 /* AckLevel of pathbell/v1/ingest.proto: quorum */
/* The largest frame without a body: CONFIG with 9 + 16 full texts. */
#define FRAME_MAX_HEAD (32 * 1024)
