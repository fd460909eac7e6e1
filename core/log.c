/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call makes one line, in four steps: format into a buffer on the stack (cut at LOG_LINE_MAX),
 * escape what could split a line or drive a terminal, keep a copy in the ring, hand it to the sink.
 *
 * The sink is chosen once by log_open. Under systemd (JOURNAL_STREAM names the file that is fd 2)
 * it is the journal's own datagram socket, spoken to directly: libsystemd's sd_journal_sendv waits
 * when journald does not read, and loading it costs a process of 3 MB another one. Elsewhere it is
 * fd 2.
 *
 * What goes wrong, and what then: the journal's queue is full, or the pipe behind fd 2 is: the line
 * is dropped and counted. journald is restarting: the line goes to fd 2, which systemd keeps open.
 * The reader of the pipe is gone: dropped and counted, no SIGPIPE. No memory for the ring: only the
 * ring lacks the line. A fork while another thread logs: the lock is held over the fork, so that
 * the child may log.
 */
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log_text.h"

#define LOG_RING_LINES	   1000
#define LOG_RING_BYTES	   (256u << 10)
#define LOG_LIMIT_NS	   (10 * CLOCK_NS_PER_S)
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum log_sink { LOG_SINK_FILE, LOG_SINK_PIPE, LOG_SINK_SOCKET };

static struct {
	pthread_mutex_t lock; /* of the ring */
	const char *program;
	_Atomic int max_level;
	_Atomic uint64_t dropped;
	enum log_sink sink;
	int fd;		/* of the sink: 2, or a private description of the same pipe or terminal */
	int journal_fd; /* -1: no journal */
	bool prefix;	/* fd 2 is the journal's stream: lines start with <N> */
	char *ring[LOG_RING_LINES];
	size_t ring_first, ring_count, ring_bytes;
} log_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.program = "pathbell",
	.max_level = LOG_LEVEL_INFO,
	.fd = STDERR_FILENO,
	.journal_fd = -1,
};

static const char *const log_level_names[] = { NULL,	  NULL,	    NULL,   "error",
					       "warning", "notice", "info", "debug" };

static void log_lock(void)
{
	pthread_mutex_lock(&log_state.lock);
}

static void log_unlock(void)
{
	pthread_mutex_unlock(&log_state.lock);
}

/* systemd.exec(5), JOURNAL_STREAM: device and inode number of the stream, as "device:inode". */
static bool log_is_journal_stream(const struct stat *st)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device = 0, inode = 0;

	return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 && device == st->st_dev &&
	       inode == st->st_ino;
}

/*
 * O_NONBLOCK belongs to the open file, which other processes share: for a pipe or a terminal a
 * second description of our own is opened; a socket has MSG_DONTWAIT. poll guards where that fails.
 */
static void log_choose_sink(const struct stat *st)
{
	int fd;

	log_state.fd = STDERR_FILENO;
	if (S_ISSOCK(st->st_mode)) {
		log_state.sink = LOG_SINK_SOCKET;
		return;
	}
	if (!S_ISFIFO(st->st_mode) && !isatty(STDERR_FILENO)) {
		log_state.sink = LOG_SINK_FILE;
		return;
	}
	log_state.sink = LOG_SINK_PIPE;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		log_state.fd = fd;
}

static void log_close(void)
{
	if (log_state.fd != STDERR_FILENO && log_state.fd >= 0)
		close(log_state.fd);
	if (log_state.journal_fd >= 0)
		close(log_state.journal_fd);
	log_state.fd = STDERR_FILENO;
	log_state.journal_fd = -1;
}

void log_open(const char *program, enum log_level max_level)
{
	static bool registered;
	struct stat st;

	log_lock();
	log_close();
	log_state.program = program;
	atomic_store(&log_state.max_level, (int)max_level);
	log_state.prefix = false;
	if (fstat(STDERR_FILENO, &st) == 0) {
		log_choose_sink(&st);
		log_state.prefix = log_is_journal_stream(&st);
	}
	if (log_state.prefix)
		log_state.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!registered)
		registered = pthread_atfork(log_lock, log_unlock, log_unlock) == 0;
	log_unlock();
}

void log_set_level(enum log_level max_level)
{
	atomic_store(&log_state.max_level, (int)max_level);
}

bool log_level_from_name(const char *name, enum log_level *ret_level)
{
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		if (strcmp(name, log_level_names[level]) == 0) {
			*ret_level = (enum log_level)level;
			return true;
		}
	}
	return false;
}

/* Removes the oldest line. Locked. */
static void log_ring_pop(void)
{
	char *line = log_state.ring[log_state.ring_first];

	log_state.ring_bytes -= strlen(line) + 1;
	free(line);
	log_state.ring[log_state.ring_first] = NULL;
	log_state.ring_first = (log_state.ring_first + 1) % LOG_RING_LINES;
	log_state.ring_count--;
}

static void log_ring_add(enum log_level level, const char *line)
{
	char when[CLOCK_TEXT_SIZE];
	char *copy = NULL;

	clock_format(clock_realtime_ns(), when);
	if (asprintf(&copy, "%s %s: %s", when, log_level_names[level], line) < 0)
		return;
	log_lock();
	while (log_state.ring_count == LOG_RING_LINES ||
	       (log_state.ring_count > 0 &&
		log_state.ring_bytes + strlen(copy) + 1 > LOG_RING_BYTES))
		log_ring_pop();
	log_state.ring[(log_state.ring_first + log_state.ring_count) % LOG_RING_LINES] = copy;
	log_state.ring_count++;
	log_state.ring_bytes += strlen(copy) + 1;
	log_unlock();
}

/*
 * Native journal protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram of KEY=value lines.
 * False: journald is not there.
 */
static bool log_to_journal(enum log_level level, const char *line)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = LOG_JOURNAL_SOCKET };
	char fields[LOG_FIELDS_MAX];
	int n = snprintf(fields, sizeof(fields),
			 "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\nMESSAGE=%s\n", (int)level,
			 log_state.program, line);
	size_t size = (size_t)n + log_text_fields(line, fields + n, sizeof(fields) - (size_t)n);
	ssize_t sent = sendto(log_state.journal_fd, fields, size, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&address, sizeof(address));

	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS)
		return false;
	if (sent < 0)
		atomic_fetch_add(&log_state.dropped, 1);
	return true;
}

static void log_to_stderr(enum log_level level, const char *line)
{
	struct pollfd poll_fd = { .fd = log_state.fd, .events = POLLOUT };
	char text[LOG_LINE_MAX + 128];
	ssize_t sent = -1;
	int n;

	if (log_state.prefix)
		n = snprintf(text, sizeof(text), "<%d>%s\n", (int)level, line);
	else
		n = snprintf(text, sizeof(text), "%.64s: %s: %s\n", log_state.program,
			     log_level_names[level], line);

	if (log_state.sink == LOG_SINK_FILE)
		sent = write(log_state.fd, text, (size_t)n);
	else if (log_state.sink == LOG_SINK_SOCKET)
		sent = send(log_state.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLOUT)
		/* Shorter than PIPE_BUF: whole or not at all (pipe(7)). */
		sent = write(log_state.fd, text, (size_t)n);
	if (sent < 0)
		atomic_fetch_add(&log_state.dropped, 1);
}

static void log_emit(enum log_level level, const char *raw)
{
	char line[LOG_LINE_MAX];
	int saved = errno;

	log_text_escape(raw, line, sizeof(line));
	log_ring_add(level, line);
	if (log_state.journal_fd < 0 || !log_to_journal(level, line))
		log_to_stderr(level, line);
	errno = saved;
}

void log_write(enum log_level level, const char *format, ...)
{
	char raw[LOG_LINE_MAX];
	va_list args;

	if ((int)level > atomic_load_explicit(&log_state.max_level, memory_order_relaxed))
		return;
	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	log_emit(level, raw);
}

void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
{
	char raw[LOG_LINE_MAX];
	uint64_t now_ns = clock_monotonic_ns();
	va_list args;
	int n;

	if ((int)level > atomic_load_explicit(&log_state.max_level, memory_order_relaxed))
		return;
	if (now_ns < limit->next_ns) {
		limit->suppressed++;
		return;
	}
	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (limit->suppressed > 0 && n >= 0 && (size_t)n < sizeof(raw))
		snprintf(raw + n, sizeof(raw) - (size_t)n, " suppressed=%llu",
			 (unsigned long long)limit->suppressed);
	limit->next_ns = now_ns + LOG_LIMIT_NS;
	limit->suppressed = 0;
	log_emit(level, raw);
}

uint64_t log_dropped(void)
{
	return atomic_load(&log_state.dropped);
}

size_t log_recent(char **ret_lines, size_t max)
{
	size_t n = 0, skip;

	log_lock();
	skip = log_state.ring_count > max ? log_state.ring_count - max : 0;
	for (size_t i = skip; i < log_state.ring_count; i++) {
		ret_lines[n] = strdup(log_state.ring[(log_state.ring_first + i) % LOG_RING_LINES]);
		if (!ret_lines[n])
			break;
		n++;
	}
	log_unlock();
	return n;
}

const char *log_errno(int error)
{
	/* As unsigned: the least int has no positive twin. */
	const char *text =
		strerrordesc_np((int)(error < 0 ? 0u - (unsigned)error : (unsigned)error));

	return text ? text : "unknown error";
}
