/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls. Allowed: what libc, OpenSSL, c-ares and gRPC were seen to need (strace of a whole
 * life, with reconnects, name resolution and certificate changes), and their neighbours that later
 * versions of libc use for the same. Files only for reading. Forbidden with EPERM: the rest. Killed
 * at once: what only an attacker wants from this process.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "core/log.h"

static const char *const sandbox_allowed[] = {
	/* descriptors */
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"close",
	"close_range",
	"fcntl",
	"dup",
	"dup2",
	"dup3",
	"lseek",
	"ioctl",
	"pipe2",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	/* files, for reading; openat has its own rule */
	"fstat",
	"newfstatat",
	"stat",
	"lstat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	"fstatfs",
	"statfs",
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	/* sockets */
	"socket",
	"socketpair",
	"connect",
	"bind",
	"listen",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"shutdown",
	/* waiting */
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"nanosleep",
	"clock_nanosleep",
	"futex",
	"futex_waitv",
	"pause",
	"restart_syscall",
	/* memory */
	"mmap",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"brk",
	"mincore",
	"membarrier",
	"mlock",
	"mlock2",
	"munlock",
	/* threads and signals; no new process: clone has its own rule */
	"clone3",
	"set_robust_list",
	"get_robust_list",
	"rseq",
	"set_tid_address",
	"exit",
	"exit_group",
	"gettid",
	"getpid",
	"getppid",
	"tgkill",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sigaltstack",
	"sched_yield",
	"sched_getaffinity",
	"sched_getparam",
	"sched_getscheduler",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_setscheduler",
	"arch_prctl",
	"prctl",
	/* questions */
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"adjtimex",
	"clock_adjtime",
	"getrandom",
	"uname",
	"sysinfo",
	"getrlimit",
	"prlimit64",
	"getrusage",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getgroups",
	"getresuid",
	"getresgid",
	"capget",
	"getcpu",
	"times",
};

static const char *const sandbox_deadly[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"mount",
	"umount2",
	"pivot_root",
	"move_mount",
	"open_tree",
	"fsopen",
	"bpf",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"perf_event_open",
	"userfaultfd",
	"unshare",
	"setns",
	"chroot",
	"reboot",
	"swapon",
	"swapoff",
	"keyctl",
	"add_key",
	"request_key",
	"io_uring_setup",
	"personality",
	"setuid",
	"setgid",
	"setreuid",
	"setresuid",
	"setresgid",
	"fork",
	"vfork",
	"iopl",
	"ioperm",
	"acct",
};

static int sandbox_rules(scmp_filter_ctx filter, const char *const *names, size_t n_names,
			 uint32_t action)
{
	for (size_t i = 0; i < n_names; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		int r;

		if (number == __NR_SCMP_ERROR)
			continue; /* of another architecture, or newer than the library */
		r = seccomp_rule_add(filter, action, number, 0);
		/* Pseudo numbers of calls that this architecture lacks are accepted and ignored. */
		if (r < 0 && r != -EDOM)
			return r;
	}
	return 0;
}

/* Threads, not processes: CLONE_THREAD. clone3 hides its flags behind a pointer and stays allowed;
 * execve does not. */
static int sandbox_rules_with_arguments(scmp_filter_ctx filter)
{
	const uint64_t clone_thread = 0x00010000; /* CLONE_THREAD, linux/sched.h */
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				 SCMP_A0(SCMP_CMP_MASKED_EQ, clone_thread, clone_thread));

	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	return r == -EDOM ? 0 : r;
}

static int sandbox_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = sandbox_rules(filter, sandbox_allowed,
				  sizeof(sandbox_allowed) / sizeof(sandbox_allowed[0]),
				  SCMP_ACT_ALLOW);
	if (r == 0)
		r = sandbox_rules(filter, sandbox_deadly,
				  sizeof(sandbox_deadly) / sizeof(sandbox_deadly[0]),
				  SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = sandbox_rules_with_arguments(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

static int sandbox_drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	/* The bounding set needs CAP_SETPCAP; without it there is nothing that could come back
	 * anyway (no_new_privs). */
	if (capng_apply(CAPNG_SELECT_BOTH) == 0)
		return 0;
	capng_clear(CAPNG_SELECT_CAPS);
	return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}

int sandbox_enter(struct errmsg *err)
{
	const char *what = "no_new_privs";
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;

	if (r == 0) {
		what = "PR_SET_DUMPABLE";
		r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
	}
	if (r == 0) {
		what = "capabilities";
		r = sandbox_drop_capabilities();
	}
	if (r == 0) {
		what = "the seccomp filter";
		r = sandbox_filter();
	}
	if (r < 0)
		errmsg_set(err, "cannot set %s: %s", what, log_errno(r));
	return r;
}
