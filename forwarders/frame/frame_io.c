/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "forwarders/frame/frame.h"
#include "forwarders/frame/frame_limits.h"

/* CONFIG: the fixed fields, 9 texts and 16 addresses, each text with its length. */
_Static_assert(FRAME_HEADER_SIZE + 64 + (9 + FRAME_MAX_ADDRESSES) * (FRAME_MAX_TEXT + 2) <=
		       FRAME_MAX_HEAD,
	       "a full CONFIG fits the buffer of frame_send");
_Static_assert(FRAME_HEADER_SIZE + 64 + FRAME_MAX_EPOCHS * 40 + 3 * (FRAME_MAX_TEXT + 2) <=
		       FRAME_MAX_HEAD,
	       "a full EPOCHS or SESSION fits the buffer of frame_send");

static struct iovec frame_body_of(const struct frame *frame)
{
	if (frame->type == FRAME_BATCH)
		return (struct iovec){ (void *)frame->batch.events, frame->batch.events_size };
	if (frame->type == FRAME_COMMAND)
		return (struct iovec){ (void *)frame->command.envelope,
				       frame->command.envelope_size };
	return (struct iovec){ 0 };
}

int frame_send(int fd, const struct frame *frame)
{
	uint8_t head[FRAME_MAX_HEAD];
	struct iovec pieces[2] = { { .iov_base = head }, frame_body_of(frame) };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = pieces[1].iov_len ? 2 : 1 };
	int n = frame_encode(frame, true, head, sizeof(head));
	ssize_t sent;

	if (n < 0)
		return n;
	pieces[0].iov_len = (size_t)n;
	do {
		sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? FRAME_E_AGAIN : -errno;
	return 0;
}

int frame_receive(int fd, uint8_t *buffer, struct frame *ret_frame)
{
	struct iovec piece = { .iov_base = buffer, .iov_len = FRAME_MAX };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	ssize_t n;

	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? FRAME_E_AGAIN : -errno;
	/* An empty packet is no frame: on this socket zero bytes mean that the other side is gone.
	 */
	if (n == 0)
		return -EPIPE;
	if (message.msg_flags & MSG_TRUNC)
		return -EBADMSG;
	return frame_decode(buffer, (size_t)n, ret_frame);
}
