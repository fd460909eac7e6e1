/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "forwarders/frame/frame_types.h"

/*
 * The frame protocol between pathbelld and a forwarder: one frame is one packet of a SOCK_SEQPACKET
 * socketpair; the forwarder inherits its end as fd 3 (PATHBELL_FORWARDER_FD names it). Little
 * endian, no padding; docs/formats/frame.md has byte offsets, order and limits. Any program in any
 * language that speaks this is a forwarder. Encode and decode are pure.
 *
 * Order: forwarder HELLO -> agent CONFIG -> (forwarder SESSION up with resume points -> agent
 * BATCH.. / forwarder ACK, CREDIT) -> SESSION down ... The agent sends batches only while a session
 * is up, in seq order from the resume points, and never more than the credit.
 */

/*
 * Size written into @out (at most @size), or -ENOBUFS, -EINVAL (a limit or range that decode would
 * refuse). BATCH and COMMAND: with @gather the body is left out, to be sent by the second iovec.
 */
int frame_encode(const struct frame *frame, bool gather, uint8_t *out, size_t size);
/*
 * 0; -EBADMSG: unknown type or version of the header, lengths that do not fit exactly, a value
 * outside its range. Pointers go into @packet.
 */
int frame_decode(const uint8_t *packet, size_t size, struct frame *ret_frame);
const char *frame_type_name(enum frame_type type);

/*
 * Socket half, for both ends. Non-blocking. 0; FRAME_E_AGAIN; -EPIPE/-ECONNRESET other side gone;
 * -EBADMSG. send: a body of BATCH or COMMAND is sent from where it is (sendmsg, two pieces).
 */
#define FRAME_E_AGAIN 1
int frame_send(int fd, const struct frame *frame);
/* @buffer of FRAME_MAX bytes keeps the packet; ret_frame points into it. */
int frame_receive(int fd, uint8_t *buffer, struct frame *ret_frame);
