/* Preloaded into an interpreter: does what HOST_LATE says when the program waits in pause(), which a
   scenario does once the oracle has written its heap down. Words, in this order of effect:
   `user` (another uid, no capabilities), `newuser` (a user namespace), `dumpable` (not dumpable),
   `leaderless` (the first thread ends, another one waits), `naps` (the wait is a nanosleep, which the
   kernel restarts by another system call), `seccomp` (whatever system call comes next but for the wait
   itself kills the process). */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void must(int succeeded)
{
    if (!succeeded)
        abort();
}

static long wait_number = SYS_pause;

static void allow_only_waiting(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)wait_number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

static int wait_here(void)
{
    const struct timespec time = {1000, 0};
    return (int)syscall(wait_number, &time, NULL);
}

static void *wait_there(void *unused)
{
    wait_here();
    return unused;
}

int pause(void)
{
    const char *words = getenv("HOST_LATE");
    if (!words)
        return wait_here();
    if (strstr(words, "user") && !strstr(words, "newuser")) {
        must(setresgid(65534, 65534, 65534) == 0);
        must(setresuid(65534, 65534, 65534) == 0);
    }
    if (strstr(words, "newuser"))
        must(unshare(CLONE_NEWUSER) == 0);
    if (strstr(words, "dumpable"))
        must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    if (strstr(words, "leaderless")) {
        pthread_t thread;
        must(pthread_create(&thread, 0, wait_there, 0) == 0);
        syscall(SYS_exit, 0);
    }
    if (strstr(words, "naps"))
        wait_number = SYS_nanosleep;
    if (strstr(words, "seccomp"))
        allow_only_waiting();
    return wait_here();
}
