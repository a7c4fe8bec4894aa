/* Writes down what a process asks of the network: preloaded by tests/test_privacy.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *call, const char *what)
{
    const char *path = getenv("NETWORK_LOG");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0)
        return;
    if (write(file, call, strlen(call)) < 0 || write(file, " ", 1) < 0 ||
        write(file, what, strlen(what)) < 0 || write(file, "\n", 1) < 0)
        abort();
    close(file);
}

/* Sockets of the machine itself, such as those of a name service, are not the network. */
static int leaves(const struct sockaddr *address)
{
    return address && address->sa_family != AF_UNIX;
}

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (leaves(address))
        note("connect", "");
    return next(socket, address, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags,
               const struct sockaddr *address, socklen_t length)
{
    ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) =
        dlsym(RTLD_NEXT, "sendto");
    if (leaves(address))
        note("sendto", "");
    return next(socket, data, size, flags, address, length);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    note("getaddrinfo", host ? host : "");
    return next(host, service, hints, found);
}
