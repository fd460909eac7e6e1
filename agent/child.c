/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fd.h"

/*
 * Between fork and exec (or the function) the child makes itself small: it dies with the parent,
 * has default signals, no descriptor but those it is given, and no privilege where it is to have
 * none. Exit status 127 says that it could not become what it was to be; errno is lost then, so
 * what can be checked is checked before the fork.
 */
#define CHILD_KILL_GRACE 1.0 /* s between SIGKILL and "stuck" */
#define CHILD_FAILED	 127

static void child_close_from(unsigned first)
{
	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return;
	/* before 5.9 */
	for (unsigned fd = first; fd < 4096; fd++)
		close((int)fd);
}

/* Closes all above 2 that are not in @keep. Sorted insertion: at most CHILD_MAX_KEEP. */
static void child_close_others(const int *keep, size_t n_keep)
{
	unsigned next = 3;

	for (;;) {
		int lowest = -1;

		for (size_t i = 0; i < n_keep; i++)
			if (keep[i] >= (int)next && (lowest < 0 || keep[i] < lowest))
				lowest = keep[i];
		if (lowest < 0)
			break;
		if ((unsigned)lowest > next)
			syscall(SYS_close_range, next, (unsigned)lowest - 1, 0);
		next = (unsigned)lowest + 1;
	}
	child_close_from(next);
}

/* fds[i] becomes descriptor i. First above all targets, so that none overwrites another. */
static int child_place_fds(const int *fds, size_t n_fds)
{
	int high[CHILD_MAX_KEEP];

	for (size_t i = 0; i < n_fds; i++) {
		int fd = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		high[i] = fcntl(fd, F_DUPFD_CLOEXEC, 16);
		if (high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n_fds; i++)
		if (dup2(high[i], (int)i) < 0)
			return -errno;
	child_close_from((unsigned)n_fds > 3 ? (unsigned)n_fds : 3);
	return 0;
}

static void child_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL); // NOLINT(bugprone-signal-handler,cert-sig30-c)
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	setrlimit((__rlimit_resource_t)resource, &limit);
}

static int child_confine(const struct child_spec *spec)
{
	child_limit(RLIMIT_CORE, 0);
	if (spec->sandbox) {
		child_limit(RLIMIT_FSIZE, 0);
		child_limit(RLIMIT_NOFILE, 32);
		child_limit(RLIMIT_CPU, 10);
	}
	if (spec->no_network && geteuid() == 0)
		unshare(CLONE_NEWNET); /* also works where it is refused: then there is one more
					  thing to reach */
	if (spec->user.change) {
		if (setgroups(0, NULL) ||
		    setresgid(spec->user.gid, spec->user.gid, spec->user.gid) ||
		    setresuid(spec->user.uid, spec->user.uid, spec->user.uid))
			return -errno;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return 0;
}

/*
 * The path may lie below a folder that the new user cannot enter (a build tree in /root): then the
 * descriptor that was opened before still leads to the file.
 */
static void child_exec(const struct child_spec *spec, int program)
{
	execve(spec->program, (char *const *)spec->argv, (char *const *)spec->envp);
	if (errno == EACCES)
		syscall(SYS_execveat, program, "", spec->argv, spec->envp, AT_EMPTY_PATH);
}

static _Noreturn void child_main(const struct child_spec *spec, pid_t parent)
{
	int program = -1;

	child_reset_signals();
	/* Ctrl-C at a terminal is for the agent, which ends its children in order. */
	setpgid(0, 0);
	if (spec->program) {
		if (child_place_fds(spec->fds, spec->n_fds))
			_exit(CHILD_FAILED);
		program = open(spec->program, O_PATH | O_CLOEXEC);
	} else {
		child_close_others(spec->keep, spec->n_keep);
	}
	if (child_confine(spec))
		_exit(CHILD_FAILED);
	/* after the change of user, which clears it (prctl(2)) */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CHILD_FAILED);
	if (!spec->program)
		_exit(spec->run(spec->data));
	child_exec(spec, program);
	_exit(CHILD_FAILED);
}

static void child_on_exit(EV_P_ struct ev_child *watcher, int revents)
{
	struct child *child = watcher->data;
	int status = watcher->rstatus;
	bool stuck = child->stuck, killed = child->killed;

	ev_child_stop(EV_A_ watcher);
	ev_timer_stop(EV_A_ & child->timer);
	child->pid = 0;
	if (stuck) {
		if (child->spec.reaped)
			child->spec.reaped(child->spec.data);
		return;
	}
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	child->spec.ended(child->spec.data, killed ? CHILD_KILLED : CHILD_EXITED, status);
}

static void child_on_timer(EV_P_ struct ev_timer *timer, int revents)
{
	struct child *child = timer->data;

	if (!child->killed) {
		child->killed = true;
		kill(child->pid, SIGKILL);
		ev_timer_set(timer, CHILD_KILL_GRACE, 0.);
		ev_timer_start(EV_A_ timer);
		return;
	}
	child->stuck = true;
	child->spec.ended(child->spec.data, CHILD_STUCK, 128 + SIGKILL);
}

int child_start(struct child *child, struct ev_loop *loop, const struct child_spec *spec)
{
	pid_t parent = getpid(), pid;

	if (spec->program && access(spec->program, X_OK))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_main(spec, parent);
	child->loop = loop;
	child->pid = pid;
	child->killed = child->stuck = false;
	child->spec = *spec;
	ev_child_init(&child->watcher, child_on_exit, pid, 0);
	child->watcher.data = child;
	ev_child_start(loop, &child->watcher);
	ev_timer_init(&child->timer, child_on_timer, (double)spec->timeout_ns / 1e9, 0.);
	child->timer.data = child;
	if (spec->timeout_ns)
		ev_timer_start(loop, &child->timer);
	return 0;
}

bool child_is_running(const struct child *child)
{
	return child->pid != 0;
}

void child_signal(struct child *child, int number)
{
	if (child->pid)
		kill(child->pid, number);
}

void child_deinit(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGKILL);
	ev_child_stop(child->loop, &child->watcher);
	ev_timer_stop(child->loop, &child->timer);
	/* Not waited for: it may be stuck. Whoever is left is init's when we end. */
	waitpid(child->pid, NULL, WNOHANG);
	child->pid = 0;
}

static int child_number(const char *name, unsigned long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoul(name, &end, 10);
	if (errno || *end || end == name || *ret_number >= UINT32_MAX)
		return -EINVAL;
	return 0;
}

int child_user_find(const char *name, struct child_user *ret_user)
{
	unsigned long number;
	bool is_number = child_number(name, &number) == 0;
	struct passwd *entry;
	int r = -ENOENT;
	FILE *file = fopen("/etc/passwd", "re");

	if (!file)
		return -errno;
	while ((entry = fgetpwent(file))) { // NOLINT(concurrency-mt-unsafe)
		if (is_number ? entry->pw_uid != (uid_t)number : strcmp(entry->pw_name, name) != 0)
			continue;
		*ret_user = (struct child_user){ true, entry->pw_uid, entry->pw_gid };
		r = 0;
		break;
	}
	fclose(file);
	if (r && is_number) {
		*ret_user = (struct child_user){ true, (uid_t)number, (gid_t)number };
		r = 0;
	}
	return r;
}

int child_group_find(const char *name, gid_t *ret_gid)
{
	unsigned long number;
	struct group *entry;
	int r = -ENOENT;
	FILE *file;

	if (child_number(name, &number) == 0) {
		*ret_gid = (gid_t)number;
		return 0;
	}
	file = fopen("/etc/group", "re");
	if (!file)
		return -errno;
	while (r && (entry = fgetgrent(file))) { // NOLINT(concurrency-mt-unsafe)
		if (strcmp(entry->gr_name, name) != 0)
			continue;
		*ret_gid = entry->gr_gid;
		r = 0;
	}
	fclose(file);
	return r;
}

int child_program_find(const char *configured, const char *libexec, const char *name,
		       char *ret_path, size_t size)
{
	char self[4096];
	char *slash;
	ssize_t n;

	if (configured) {
		if (snprintf(ret_path, size, "%s", configured) >= (int)size)
			return -ENAMETOOLONG;
		return access(ret_path, X_OK) ? -ENOENT : 0;
	}
	/* beside our own binary first: a build tree must not run the installed one */
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash) {
		*slash = 0;
		if (snprintf(ret_path, size, "%s/%s", self, name) < (int)size &&
		    access(ret_path, X_OK) == 0)
			return 0;
	}
	if (snprintf(ret_path, size, "%s/%s", libexec, name) >= (int)size)
		return -ENAMETOOLONG;
	return access(ret_path, X_OK) ? -ENOENT : 0;
}
