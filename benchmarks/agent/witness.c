/* The program that is run: appends "<id> <start, ns since the epoch>" to a file. It is the only witness of a run. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct timespec now;
    char line[64];
    if (count != 3 || clock_gettime(CLOCK_REALTIME, &now)) return 3;
    int length = snprintf(line, sizeof line, "%s %lld\n", arguments[2], now.tv_sec * 1000000000LL + now.tv_nsec);
    int file = open(arguments[1], O_WRONLY | O_APPEND | O_CREAT, 0666);
    return write(file, line, length) == length ? 0 : 1;
}
