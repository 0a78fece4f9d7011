/* Programs that notice when something was executed in them: `injected MODE FILE [N]`. FILE is mapped shared:
   word 0 counts what is done, word 1 what went wrong. Prints READY and an address when it is set up. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *words;

static void ready(void)
{
    printf("READY %lx\n", (unsigned long)&words);
    fflush(stdout);
}

static void nap(long microseconds)
{
    struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&time, 0);
}

static uint8_t pattern[32][64] __attribute__((aligned(64)));
static uint8_t found[32][64] __attribute__((aligned(64)));

#define SIXTEEN "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define KEEP(registers, move, kind, clobbers...)                                        \
    __asm__ volatile(".irp r," registers "\n " move " \\r*64(%1),%%" kind "\\r\n .endr\n"  \
                     "1: dec %0\n jnz 1b\n"                                             \
                     ".irp r," registers "\n " move " %%" kind "\\r,\\r*64(%2)\n .endr\n"  \
                     : "+r"(turns)                                                      \
                     : "r"(pattern), "r"(found)                                         \
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",  \
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",       \
                       "xmm13", "xmm14", "xmm15" clobbers)

__attribute__((target("avx512f"))) static void keep_64(uint64_t turns)
{
    KEEP(SIXTEEN ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31", "vmovdqa64", "zmm", ,
         "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
         "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

__attribute__((target("avx"))) static void keep_32(uint64_t turns)
{
    KEEP(SIXTEEN, "vmovdqa", "ymm");
}

static void keep_16(uint64_t turns)
{
    KEEP(SIXTEEN, "movdqa", "xmm");
}

/* Holds a pattern in all vector registers while it counts, and compares. */
static void vectors(void)
{
    size_t width = __builtin_cpu_supports("avx512f") ? 64 : __builtin_cpu_supports("avx") ? 32 : 16;
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 64; j++)
            pattern[i][j] = i * 7 + j * 3 + 1;
    for (;;) {
        memset(found, 0, sizeof found);
        if (width == 64)
            keep_64(2000000);
        else if (width == 32)
            keep_32(2000000);
        else
            keep_16(2000000);
        for (int i = 0; i < (width == 64 ? 32 : 16); i++)
            if (memcmp(pattern[i], found[i], width))
                words[1]++;
        words[0]++;
    }
}

static void *beat(void *unused)
{
    (void)unused;
    for (;;) {
        words[0]++;
        nap(500);
    }
    return 0;
}

/* Calls that wait without end, or for longer than any test. None may return. */
static void waits(long which)
{
    int ends[2];
    if (pipe(ends))
        abort();
    struct epoll_event event;
    struct pollfd pollfd = {ends[0], POLLIN, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, 0);
    struct sembuf operation = {0, -1, 0};
    int semaphore = which == 4 ? semget(IPC_PRIVATE, 1, 0600) : -1;
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr address = {.sa_family = AF_UNIX};
    bind(server, &address, sizeof(sa_family_t));
    listen(server, 1);
    int queue = epoll_create1(0);
    char byte;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec long_time = {1000, 0};
    ready();
    switch (which) {
    case 0: epoll_wait(queue, &event, 1, -1); break;
    case 1: epoll_pwait(queue, &event, 1, -1, &set); break;
    case 2: poll(&pollfd, 1, -1); break;
    case 3: sigwaitinfo(&set, 0); break;
    case 4: semctl(semaphore, 0, SETVAL, 0); semop(semaphore, &operation, 1); break;
    case 5: if (read(ends[0], &byte, 1)) {} break;
    case 6: accept(server, 0, 0); break;
    case 7: nanosleep(&long_time, 0); break;
    case 8: pthread_mutex_lock(&mutex); pthread_cond_wait(&condition, &mutex); break;
    case 9: ppoll(&pollfd, 1, &long_time, &set); break;
    case 10: sigsuspend(&set); break;
    }
    words[1]++;
    for (;;)
        nap(1000);
}

static volatile sig_atomic_t ended;

static void count_end(int number)
{
    (void)number;
    ended++;
    words[2]++;
}

/* Starts children, one at a time. Each gives one signal and one status, and there are no others. */
static void children(void)
{
    struct sigaction action = {.sa_handler = count_end};
    sigaction(SIGCHLD, &action, 0);
    ready();
    for (;;) {
        int before = ended;
        if (waitpid(-1, 0, WNOHANG) != -1 || errno != ECHILD)
            words[1]++;
        pid_t child = fork();
        if (child == 0)
            _exit(7);
        int status = 0;
        pid_t who;
        while ((who = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
            ;
        if (who != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            words[1]++;
        nap(200);
        if (ended != before + 1)
            words[1]++;
        words[0]++;
    }
}

/* Writes one number after the other to all pages of one area, then makes another area anew and does the same
   there: at any instant a beginning of them has the new number, and the rest has the one before. */
static void sweeps(void)
{
    enum { PAGES = 2000, SIZE = PAGES * 4096 };
    char *area = mmap(0, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("READY %lx\n", (unsigned long)area);
    fflush(stdout);
    for (uint64_t number = 1;; number++) {
        for (int half = 0; half < 2; half++) {
            char *start = area + half * SIZE;
            if (half && mmap(start, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != start)
                abort();
            for (int page = 0; page < PAGES; page++) {
                *(volatile uint64_t *)(start + page * 4096L + page % 512 * 8) = number;
                words[0]++;
                if (page % 20 == 0)
                    nap(500);
            }
        }
    }
}

/* A filter that kills the process for a clone that is no thread, and for userfaultfd. */
static void filtered(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 56, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 323, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
    ready();
    beat(0);
}

int main(int count, char **arguments)
{
    const char *mode = arguments[1];
    long number = count > 3 ? atol(arguments[3]) : 0;
    int file = open(arguments[2], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096))
        abort();
    words = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    pthread_t thread;
    if (!strcmp(mode, "vectors")) {
        ready();
        vectors();
    } else if (!strcmp(mode, "waits")) {
        pthread_create(&thread, 0, beat, 0);
        waits(number);
    } else if (!strcmp(mode, "sweeps")) {
        sweeps();
    } else if (!strcmp(mode, "children")) {
        children();
    } else if (!strcmp(mode, "filtered")) {
        filtered();
    }
    return 2;
}
