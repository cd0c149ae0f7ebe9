/* What nobody can be cheaper than: starts COUNT programs evenly spread over a period, waits for each, for ever.
   floor WITNESS FILE COUNT PERIOD_NS [UID]: with a UID each program gets rights and limits as a sandbox has. */
#define _GNU_SOURCE
#include <grp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void limit(int which, rlim_t value) {
    struct rlimit both = {value, value};
    setrlimit(which, &both);
}

static pid_t start_in_sandbox(char **command, uid_t user) {
    pid_t pid = fork();
    if (pid) return pid;
    setsid();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, 60);
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_NPROC, 1024);
    limit(RLIMIT_DATA, 1UL << 30);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (chdir("/") || setgroups(0, NULL) || setgid(user) || setuid(user)) _exit(126);
    execve(command[0], command, environ);
    _exit(127);
}

int main(int count, char **arguments) {
    long programs = atol(arguments[3]), period = atol(arguments[4]), gap = period / programs;
    struct timespec next;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long number = 0;; number++) {
        char id[24];
        snprintf(id, sizeof id, "%ld", number % programs);
        char *command[] = {arguments[1], arguments[2], id, NULL};
        next.tv_nsec += gap;
        for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) next.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        pid_t pid;
        int status;
        if (count > 5)
            pid = start_in_sandbox(command, atoi(arguments[5]));
        else if (posix_spawn(&pid, command[0], NULL, &attributes, command, environ))
            return 1;
        waitpid(pid, &status, 0);
    }
}
