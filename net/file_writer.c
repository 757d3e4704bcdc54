#include "net/file_writer.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/assert.h"

/* 0 when all is written and durable, or -errno. */
static int file_write_run(const struct io_ring_write *write) {
    const uint8_t *data = write->data;
    size_t written = 0;
    while (written < write->bytes) {
        ssize_t result = pwrite(write->file, data + written, write->bytes - written,
                                (off_t)(write->offset + written));
        if (result < 0 && errno == EINTR) continue;
        if (result < 0) return -errno;
        if (result == 0) return -EIO;
        written += (size_t)result;
    }
    if (write->is_dsync) return 0;
    return fdatasync(write->file) == 0 ? 0 : -errno;
}

static void queue_append(struct file_write_queue *queue, struct file_write *write) {
    write->next = NULL;
    if (queue->first == NULL) {
        queue->first = write;
    } else {
        queue->last->next = write;
    }
    queue->last = write;
}

static struct file_write *queue_get(struct file_write_queue *queue) {
    struct file_write *write = queue->first;
    if (write) queue->first = write->next;
    return write;
}

static void *writer_run(void *context) {
    struct file_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        struct file_write *write = queue_get(&writer->todo);
        if (write == NULL && writer->is_stopping) break;
        if (write == NULL) {
            pthread_cond_wait(&writer->todo_arrived, &writer->lock);
            continue;
        }
        pthread_mutex_unlock(&writer->lock);
        write->result = file_write_run(&write->write);
        pthread_mutex_lock(&writer->lock);
        queue_append(&writer->done, write);
        writer->notify(writer->context);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

enum fst_status file_writer_init(struct file_writer *writer, void (*notify)(void *context),
                                 void *context) {
    *writer = (struct file_writer){.notify = notify, .context = context};
    for (uint32_t i = FILE_WRITES_MAX; i > 0; i--) {
        writer->slots[i - 1].next = writer->free_list;
        writer->free_list = &writer->slots[i - 1];
    }
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->todo_arrived, NULL);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&writer->thread, NULL, writer_run, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return FST_OK;
    pthread_cond_destroy(&writer->todo_arrived);
    pthread_mutex_destroy(&writer->lock);
    return FST_NO_MEMORY;
}

void file_writer_deinit(struct file_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    writer->is_stopping = true;
    pthread_cond_signal(&writer->todo_arrived);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->todo_arrived);
    pthread_mutex_destroy(&writer->lock);
}

bool file_writer_put(struct file_writer *writer, const struct io_ring_write *write,
                     uint64_t token) {
    FST_ASSERT(write->bytes > 0 && write->bytes <= INT32_MAX);
    struct file_write *slot = writer->free_list;
    if (slot == NULL) return false;
    writer->free_list = slot->next;
    writer->put_count += 1;
    *slot = (struct file_write){.write = *write, .token = token};
    pthread_mutex_lock(&writer->lock);
    queue_append(&writer->todo, slot);
    pthread_cond_signal(&writer->todo_arrived);
    pthread_mutex_unlock(&writer->lock);
    return true;
}

uint32_t file_writer_take(struct file_writer *writer, struct io_ring_completion *completions,
                          uint32_t max) {
    if (writer->put_count == 0) return 0;
    uint32_t stored = 0;
    pthread_mutex_lock(&writer->lock);
    while (stored < max) {
        struct file_write *write = queue_get(&writer->done);
        if (write == NULL) break;
        completions[stored] = (struct io_ring_completion){
            .event = IO_RING_WRITTEN, .result = write->result, .token = write->token};
        stored += 1;
        write->next = writer->free_list;
        writer->free_list = write;
    }
    pthread_mutex_unlock(&writer->lock);
    writer->put_count -= stored;
    return stored;
}
