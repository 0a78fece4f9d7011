/* Programs to attach to: `programs MODE FILE [N]`. FILE is mapped shared: 512 words, in which each
   mode counts something that the test reads. Prints READY and an address when it is set up. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *words;
static volatile int busy = 1;
const char greeting[] = "greetings from read-only data";
char written[8192] = "initial data, never written to";

static void nap(long microseconds)
{
    struct timespec time = {0, microseconds * 1000};
    nanosleep(&time, 0);
}

static void ready(const volatile void *address)
{
    printf("READY %lx\n", (unsigned long)address);
    fflush(stdout);
}

static void *beat(void *index)
{
    for (;;) {
        words[(intptr_t)index]++;
        nap(500);
    }
    return 0;
}

static void start_beats(intptr_t count)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (intptr_t i = 1; i <= count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, beat, (void *)i))
            abort();
    }
}

static void *short_life(void *unused)
{
    (void)unused;
    words[1]++;
    return 0;
}

static void *churn(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            if (pthread_create(&threads[i], 0, short_life, 0))
                abort();
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], 0);
        words[2]++;
    }
    return 0;
}

static void count_signal(int number)
{
    words[number == SIGUSR1 ? 1 : 2]++;
}

static void wait_forever(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGRTMIN + 3, &action, 0);
    int queue = epoll_create1(0);
    struct epoll_event event;
    ready(&busy);
    for (;;) {
        int result = epoll_wait(queue, &event, 1, -1);
        if (result < 0 && errno == EINTR)
            words[1]++;
    }
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
    if (!strcmp(mode, "threads")) {
        start_beats(number);
        ready(greeting);
    } else if (!strcmp(mode, "data")) {
        ready(written);
    } else if (!strcmp(mode, "churn")) {
        pthread_create(&thread, 0, churn, 0);
        ready(greeting);
    } else if (!strcmp(mode, "busy")) {
        ready(&busy);
        nap(number * 1000);
        if (number)
            busy = 0;
    } else if (!strcmp(mode, "vfork")) {
        pthread_create(&thread, 0, beat, (void *)1);
        ready(greeting);
        /* The child sleeps in our memory, and we in the kernel until it ends. */
        if (vfork() == 0) {
            struct timespec time = {3, 0};
            nanosleep(&time, 0);
            _exit(0);
        }
    } else if (!strcmp(mode, "signals")) {
        struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
        sigaction(SIGUSR1, &action, 0);
        sigaction(SIGRTMIN + 3, &action, 0);
        ready(greeting);
    } else if (!strcmp(mode, "leaderless")) {
        start_beats(2);
        ready(written);
        pthread_exit(0);
    } else if (!strcmp(mode, "growth")) {
        ready(greeting);
        for (long size = 0; size < number; size += 1 << 20) {
            memset(malloc(1 << 20), 7, 1 << 20);
            words[0]++;
            nap(200);
        }
    } else if (!strcmp(mode, "epoll")) {
        wait_forever();
    } else {
        return 2;
    }
    beat((void *)0);
}
