// The CPU time of processes, from /proc/PID/stat.
#include "load.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct process {
    int pid, parent;
    unsigned long ticks; // of the process, and of its children that have ended
    bool counts;
};

// Return false if the process does not exist.
static bool read_process(int pid, struct process *process)
{
    char path[64], content[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    size_t length = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    if (!length) return false;
    content[length] = 0;
    // The second field is the program's name, which may contain any character. Fields 14 to 17 are the user and system
    // time, and those of children that have ended.
    const char *after_name = strrchr(content, ')');
    unsigned long user, system;
    long user_of_children, system_of_children;
    if (!after_name || sscanf(after_name, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
                              &process->parent, &user, &system, &user_of_children, &system_of_children) != 5)
        fail("%s: cannot be understood", path);
    process->pid = pid;
    process->ticks = user + system + (unsigned long)(user_of_children + system_of_children);
    process->counts = pid == options.server_pid;
    return true;
}

static size_t read_processes(struct process **processes)
{
    DIR *folder = opendir("/proc");
    if (!folder) fail("/proc: %s", strerror(errno));
    size_t count = 0, room = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        if (count == room) {
            room = room ? 2 * room : 256;
            *processes = realloc(*processes, room * sizeof **processes);
            if (!*processes) fail("out of memory");
        }
        count += read_process(atoi(entry->d_name), &(*processes)[count]);
    }
    closedir(folder);
    return count;
}

// Sum up all processes of the server: some servers have several.
double server_cpu(void)
{
    if (!options.server_pid) return 0;
    struct process *processes = NULL;
    size_t count = read_processes(&processes);
    bool found = true;
    while (found) { // one generation at a time
        found = false;
        for (size_t i = 0; i < count; i++)
            for (size_t parent = 0; parent < count && !processes[i].counts; parent++)
                if (processes[parent].counts && processes[parent].pid == processes[i].parent)
                    processes[i].counts = found = true;
    }
    unsigned long ticks = 0;
    bool alive = false;
    for (size_t i = 0; i < count; i++) {
        if (processes[i].counts) ticks += processes[i].ticks;
        alive |= processes[i].pid == options.server_pid;
    }
    free(processes);
    if (!alive) fail("there is no process %d", options.server_pid);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
