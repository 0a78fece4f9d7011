/* A program that has CPython inside, as editors and servers do: `embedding MODE SCRIPT`.
   Modes: `main` (the script runs in the first thread), `thread` (in another one while the first sleeps). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <unistd.h>

static const char *script;

static int run_script(void)
{
    FILE *file = fopen(script, "r");
    if (!file)
        return 2;
    return PyRun_SimpleFile(file, script) != 0;
}

static void *in_thread(void *unused)
{
    PyGILState_STATE state = PyGILState_Ensure();
    int status = run_script();
    PyGILState_Release(state);
    _exit(status);
    return unused;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    script = arguments[2];
    Py_InitializeEx(0);
    wchar_t *words[] = {Py_DecodeLocale(script, NULL)};
    PySys_SetArgvEx(1, words, 1);
    if (!strcmp(arguments[1], "main"))
        return run_script();
    PyThreadState *state = PyEval_SaveThread();
    pthread_t thread;
    if (!state || pthread_create(&thread, NULL, in_thread, NULL))
        return 2;
    pause();
    return 0;
}
