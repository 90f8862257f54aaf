/* SPDX-License-Identifier: MIT */
/*
 * Names that are taken elsewhere: of libc functions, of variables in scope, of
 * the arguments of generated functions. A wide protocol, an empty one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <rota/rota.h>

extern int to, m, id, self, state, tag, payload, length, within, timer;

struct read {
	int length;
};

#define FILES(M, p)                   \
	M(p, SEND, open, void)        \
	M(p, SEND, read, struct read) \
	M(p, SEND, close, int)        \
	M(p, SEND, index, long)       \
	M(p, BYTES, write, void)      \
	M(p, SEND, self, void)        \
	M(p, SEND, state, void)
ROTA_PROTOCOL(file, FILES);

struct file {
	int fd;
};

static int file_on_open(struct file *f)
{
	f->fd = 1;
	return 0;
}

static int file_on_read(struct file *f, const struct read *m_)
{
	f->fd += m_->length;
	return 0;
}

static int file_on_close(struct file *f, const int *m_)
{
	f->fd = *m_;
	return 0;
}

static int file_on_index(struct file *f, const long *m_)
{
	f->fd = *m_ > 0;
	return 0;
}

static int file_on_write(struct file *f, const char *bytes, size_t n)
{
	f->fd += n > 0 && bytes[0] > 0;
	return 0;
}

static int file_on_self(struct file *f)
{
	return f->fd;
}

static int file_on_state(struct file *f)
{
	return f->fd;
}

ROTA_BEHAVIOUR(file, file, FILES, NULL);

int use(file_id file);
int use(file_id file)
{
	struct read r = {m};

	return file_open(file) + file_read(file, r) + file_close(file, to) +
	       close(1);
}

#define TEN(M, p, a)              \
	M(p, SEND, m##a##0, void) \
	M(p, SEND, m##a##1, int)  \
	M(p, SEND, m##a##2, void) \
	M(p, SEND, m##a##3, void) \
	M(p, SEND, m##a##4, void) \
	M(p, SEND, m##a##5, void) \
	M(p, SEND, m##a##6, void) \
	M(p, SEND, m##a##7, void) \
	M(p, SEND, m##a##8, void) \
	M(p, SEND, m##a##9, void)
#define WIDE(M, p)           \
	TEN(M, p, 0)         \
	TEN(M, p, 1)         \
	TEN(M, p, 2)         \
	TEN(M, p, 3)         \
	TEN(M, p, 4)         \
	TEN(M, p, 5)         \
	TEN(M, p, 6)         \
	TEN(M, p, 7)         \
	TEN(M, p, 8)         \
	TEN(M, p, 9)         \
	TEN(M, p, a)         \
	TEN(M, p, b)         \
	M(p, SEND, n0, void) \
	M(p, SEND, n1, void) \
	M(p, SEND, n2, void) \
	M(p, SEND, n3, void) \
	M(p, SEND, n4, void) \
	M(p, SEND, n5, void) \
	M(p, SEND, n6, void) \
	M(p, SEND, n7, void)
ROTA_PROTOCOL(wide_protocol_with_a_name_of_more_than_32_characters, WIDE);

#define EMPTY(M, p)
ROTA_PROTOCOL(empty, EMPTY);

struct empty {
	int nothing;
};

ROTA_BEHAVIOUR(empty, empty, EMPTY, NULL);
