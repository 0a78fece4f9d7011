/* Preloaded into a program that is measured: a thread without Python that notes for how long it stood still.
 * HEARTBEAT_FILE is shared with the measurer: it writes 1 to `reset` and reads the rest. The words from
 * the ninth on are for a heartbeat in Python (heap.py): reset, longest. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 200000
#define STOOD_STILL_NS 1000000
#define FILE_SIZE 128

struct beat {
    volatile uint64_t reset;      /* written by the measurer */
    volatile uint64_t longest;    /* nanoseconds beyond the period */
    volatile uint64_t beats;
    volatile uint64_t stood;      /* sum of the gaps longer than STOOD_STILL_NS, nanoseconds */
    volatile uint64_t longest_end; /* when the longest gap ended, by the monotonic clock */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void *run(void *argument)
{
    struct beat *beat = argument;
    struct timespec period = {0, PERIOD_NS};
    uint64_t last;

    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    last = now();
    for (;;) {
        nanosleep(&period, 0);
        uint64_t time = now();
        uint64_t gap = time - last - PERIOD_NS;
        last = time;
        if (beat->reset) {
            beat->longest = beat->stood = beat->longest_end = 0;
            beat->reset = 0;
        } else {
            if (gap > STOOD_STILL_NS)
                beat->stood += gap;
            if (gap > beat->longest) {
                beat->longest = gap;
                beat->longest_end = time;
            }
        }
        beat->beats++;
    }
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("HEARTBEAT_FILE");
    pthread_t thread;
    if (!path)
        return;
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, FILE_SIZE))
        return;
    struct beat *beat = mmap(0, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (beat != MAP_FAILED && !pthread_create(&thread, 0, run, beat))
        pthread_detach(thread);
}
