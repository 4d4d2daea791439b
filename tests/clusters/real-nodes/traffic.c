/* A user's traffic, to see what a change of the network does to it.
 *
 *   traffic serve PORT              answers each byte with itself
 *   traffic ask NAME=IP:PORT...     asks each of them every 100 ms, in two ways, until it is told to end:
 *                                   "short" on a new connection, "long" on one that stays open
 *
 * A question is sent when its time has come, whether or not those before it were answered: a silence of three seconds
 * is thirty questions, not one. An answer after more than a second is late; none within five (short), or on a
 * connection that broke (long), is lost. A connection that gives no answer for twenty seconds counts as broken.
 *
 * Each second one line for each way is printed, with everything since the start, for questions whose fate is known:
 *   SECONDS NAME short ASKED LATE LOST BROKEN SLOWEST_MS
 * and one line when an open connection breaks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVERY = 100, LATE = 1000, LOST = 5000, SILENT = 20000, WORD = 8, SHORTS = 128, LONGS = 4096, TARGETS = 4 };

struct fate { long asked, late, lost, broken, slowest; };

struct question { int fd, sent, got; long since; };

struct target {
    const char *name;
    struct sockaddr_in at;
    struct fate brief, lasting;
    struct question questions[SHORTS];
    /* The connection that stays: its questions are answered in their order. */
    int fd, connected;
    long opened, asked, answered, got, since[LONGS];
};

static void end(int signal) { (void)signal; _exit(0); }

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fail(const char *what) { perror(what); exit(1); }

static void answered(struct fate *fate, long took) {
    fate->asked++;
    if (took > LATE) fate->late++;
    if (took > fate->slowest) fate->slowest = took;
}

static void lost(struct fate *fate, long number) { fate->asked += number; fate->lost += number; }

static int dial(struct target *t) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&t->at, sizeof t->at) == 0 || errno == EINPROGRESS) return fd;
    close(fd);
    return -1;
}

static int failed(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error;
}

static void begin_short(struct target *t) {
    for (int i = 0; i < SHORTS; i++) {
        struct question *q = &t->questions[i];
        if (q->fd >= 0) continue;
        q->fd = dial(t);
        q->since = now();
        q->sent = q->got = 0;
        if (q->fd < 0) lost(&t->brief, 1);
        return;
    }
    lost(&t->brief, 1);
}

static void end_short(struct target *t, struct question *q, int good) {
    if (good) answered(&t->brief, now() - q->since);
    else lost(&t->brief, 1);
    close(q->fd);
    q->fd = -1;
}

static void move_short(struct target *t, struct question *q, short events) {
    char word[WORD] = "question";
    if (!q->sent && events & (POLLOUT | POLLERR | POLLHUP)) {
        if (failed(q->fd) || send(q->fd, word, WORD, MSG_NOSIGNAL) != WORD) return end_short(t, q, 0);
        q->sent = 1;
    } else if (q->sent && events) {
        ssize_t n = recv(q->fd, word, (size_t)(WORD - q->got), 0);
        if (n <= 0) return end_short(t, q, 0);
        q->got += (int)n;
        if (q->got == WORD) return end_short(t, q, 1);
    }
}

static void break_long(struct target *t, const char *how) {
    if (t->connected) {
        t->lasting.broken++;
        printf("broken: %s: %s, %ld unanswered\n", t->name, how, t->asked - t->answered);
    }
    lost(&t->lasting, t->asked - t->answered);
    close(t->fd);
    t->fd = -1;
    t->opened = now();
}

static void ask_long(struct target *t) {
    if (t->fd < 0 && now() - t->opened >= 1000) {
        t->fd = dial(t);
        t->connected = 0;
        t->asked = t->answered = t->got = 0;
        t->opened = now();
    }
    if (t->fd < 0 || !t->connected) {
        /* The first moments, before there ever was a connection, are no loss. */
        if (t->lasting.asked) lost(&t->lasting, 1);
        if (t->fd >= 0 && now() - t->opened > LOST) break_long(t, "not connected");
        return;
    }
    t->since[t->asked % LONGS] = now();
    t->asked++;
    if (send(t->fd, "question", WORD, MSG_NOSIGNAL) != WORD) break_long(t, strerror(errno));
    else if (now() - t->since[t->answered % LONGS] > SILENT) break_long(t, "silent");
}

static void move_long(struct target *t, short events) {
    char words[4096];
    if (!t->connected) {
        if (!events) return;
        if (failed(t->fd)) return break_long(t, "not connected");
        t->connected = 1;
        return;
    }
    if (!(events & (POLLIN | POLLERR | POLLHUP))) return;
    ssize_t n = recv(t->fd, words, sizeof words, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return break_long(t, n ? strerror(errno) : "closed by the other side");
    for (t->got += n; t->got >= WORD; t->got -= WORD) {
        answered(&t->lasting, now() - t->since[t->answered % LONGS]);
        t->answered++;
    }
}

static void tell(long second, const char *name, const char *way, const struct fate *fate) {
    printf("%ld %s %s %ld %ld %ld %ld %ld\n", second, name, way, fate->asked, fate->late, fate->lost, fate->broken,
           fate->slowest);
}

static void ask(int count, char **names) {
    static struct target targets[TARGETS];
    static struct pollfd polls[TARGETS * (SHORTS + 1)];
    for (int i = 0; i < count; i++) {
        struct target *t = &targets[i];
        char *address = strchr(names[i], '='), *port = strrchr(names[i], ':');
        if (!address || !port) exit(2);
        *address++ = *port++ = 0;
        t->name = names[i];
        t->at.sin_family = AF_INET;
        t->at.sin_port = htons((unsigned short)atoi(port));
        if (inet_pton(AF_INET, address, &t->at.sin_addr) != 1) exit(2);
        t->fd = -1;
        for (int q = 0; q < SHORTS; q++) t->questions[q].fd = -1;
    }
    long begun = now(), tick = begun, told = begun;
    for (;;) {
        int open = 0;
        for (int i = 0; i < count; i++) {
            struct target *t = &targets[i];
            if (t->fd >= 0)
                polls[open++] = (struct pollfd){.fd = t->fd, .events = t->connected ? POLLIN : POLLOUT};
            for (int q = 0; q < SHORTS; q++)
                if (t->questions[q].fd >= 0)
                    polls[open++] = (struct pollfd){.fd = t->questions[q].fd,
                                                    .events = t->questions[q].sent ? POLLIN : POLLOUT};
        }
        long left = tick - now();
        if (poll(polls, (nfds_t)open, left > 0 ? (int)left : 0) < 0 && errno != EINTR) fail("poll");
        int at = 0;
        for (int i = 0; i < count; i++) {
            struct target *t = &targets[i];
            if (t->fd >= 0) move_long(t, polls[at++].revents);
            for (int q = 0; q < SHORTS; q++) {
                struct question *one = &t->questions[q];
                if (one->fd < 0) continue;
                move_short(t, one, polls[at++].revents);
                if (one->fd >= 0 && now() - one->since > LOST) end_short(t, one, 0);
            }
        }
        if (now() < tick) continue;
        /* What this machine was too busy to ask in time is not asked in a burst. */
        tick = tick + EVERY > now() ? tick + EVERY : now() + EVERY;
        for (int i = 0; i < count; i++) {
            begin_short(&targets[i]);
            ask_long(&targets[i]);
        }
        if (now() - told < 1000) continue;
        told = now();
        for (int i = 0; i < count; i++) {
            tell((told - begun) / 1000, targets[i].name, "short", &targets[i].brief);
            tell((told - begun) / 1000, targets[i].name, "long", &targets[i].lasting);
        }
        fflush(stdout);
    }
}

static void serve(int port) {
    enum { MOST = 1024 };
    static struct pollfd polls[MOST];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int open = 1, yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 512)) fail("listen");
    polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        if (poll(polls, (nfds_t)open, -1) < 0 && errno != EINTR) fail("poll");
        for (int i = open - 1; i > 0; i--) {
            char words[4096];
            if (!polls[i].revents) continue;
            ssize_t n = recv(polls[i].fd, words, sizeof words, MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) continue;
            if (n > 0 && send(polls[i].fd, words, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n) continue;
            close(polls[i].fd);
            polls[i] = polls[--open];
        }
        if (polls[0].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0 && open < MOST) polls[open++] = (struct pollfd){.fd = fd, .events = POLLIN};
            else if (fd >= 0) close(fd);
        }
    }
}

int main(int count, char **words) {
    signal(SIGTERM, end);
    signal(SIGINT, end);
    if (count == 3 && !strcmp(words[1], "serve")) serve(atoi(words[2]));
    if (count >= 3 && count - 2 <= TARGETS && !strcmp(words[1], "ask")) ask(count - 2, words + 2);
    fprintf(stderr, "usage: traffic serve PORT | traffic ask NAME=IP:PORT...\n");
    return 2;
}
