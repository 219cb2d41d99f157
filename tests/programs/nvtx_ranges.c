/* SPDX-License-Identifier: MIT */

/*
 * A program that speaks NVTX and knows nothing of stax: ranges that nest in
 * two domains and two threads, ranges that overlap, marks.
 */

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#ifdef HAS_NVTX
#include <nvtx3/nvToolsExt.h>
#else
#include "nvtx_least.h"
#endif

#include "range_log.h"
#include "truth.h"

#define USAGE "nvtx_ranges [--rounds N] [--wait MS]"

static uint64_t n_rounds = 200, wait_ms; /* for a tool to come */

static void step(const char *thread)
{
    struct range_entry *outer = range_log_add("NVTX: ", NULL, "step");
    struct range_entry *load = range_log_add("NVTX: ", "step", "load");
    struct range_entry *mark = range_log_add("NVTX: ", "step", "loaded");
    struct range_entry *wide = range_log_add("NVTX: ", "step",
                                             "r\xc3\xbc"
                                             "ckw\xc3\xa4rts");
    struct range_entry *deep = range_log_add("NVTX: ", "step", "kernel");
    deep->middle = wide->name;
    outer->thread = load->thread = mark->thread = wide->thread = deep->thread = thread;

    RANGE_LOG_CALL(outer->begin_ns, nvtxRangePushA("step"));
    RANGE_LOG_CALL(load->begin_ns, nvtxRangePushA("load"));
    range_log_work(20);
    RANGE_LOG_CALL(load->end_ns, nvtxRangePop());
    RANGE_LOG_CALL(mark->begin_ns, nvtxMarkA("loaded"));
    mark->end_ns[0] = mark->begin_ns[0];
    mark->end_ns[1] = mark->begin_ns[1];
    RANGE_LOG_CALL(wide->begin_ns, nvtxRangePushW(L"r\u00fcckw\u00e4rts"));
    RANGE_LOG_CALL(deep->begin_ns, nvtxRangePushA("kernel"));
    range_log_work(30);
    RANGE_LOG_CALL(deep->end_ns, nvtxRangePop());
    RANGE_LOG_CALL(wide->end_ns, nvtxRangePop());
    RANGE_LOG_CALL(outer->end_ns, nvtxRangePop());
}

static void collect(nvtxDomainHandle_t domain, nvtxStringHandle_t string, uint64_t bytes)
{
    struct nvtxEventAttributes_v2 attributes = {0};
    attributes.version = NVTX_VERSION;
    attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    attributes.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    attributes.message.registered = string;
    attributes.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
    attributes.payload.ullValue = bytes;
    struct range_entry *entry = range_log_add("collective: ", NULL, "all reduce");
    entry->payload = (double)bytes;
    RANGE_LOG_CALL(entry->begin_ns, nvtxDomainRangePushEx(domain, &attributes));
    range_log_work(10);
    RANGE_LOG_CALL(entry->end_ns, nvtxDomainRangePop(domain));
}

static void *run_loader(void *userdata)
{
    (void)userdata;
    nvtxNameOsThreadA((uint32_t)gettid(), "loader");
    for (uint64_t i = 0; i < n_rounds; i++) {
        step("loader");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        bool is_rounds = strcmp(argv[i], "--rounds") == 0;
        if (i + 1 == argc || (!is_rounds && strcmp(argv[i], "--wait") != 0)) {
            option_usage(USAGE);
        }
        *(is_rounds ? &n_rounds : &wait_ms) = option_count(argv[i + 1], argv[i]);
    }
    nvtxDomainHandle_t domain = nvtxDomainCreateA("collective");
    nvtxStringHandle_t string = nvtxDomainRegisterStringA(domain, "all reduce");
    usleep((useconds_t)(wait_ms * 1000));
    struct range_entry *whole = range_log_add("NVTX ranges", NULL, "whole");
    nvtxRangeId_t whole_id, part_id;
    RANGE_LOG_CALL(whole->begin_ns, whole_id = nvtxRangeStartA("whole"));
    pthread_t loader;
    if (pthread_create(&loader, NULL, run_loader, NULL) != 0) {
        return 1;
    }
    for (uint64_t i = 0; i < n_rounds; i++) {
        step(NULL);
        collect(domain, string, i + 1);
    }
    struct range_entry *part = range_log_add("NVTX ranges", NULL, "part");
    RANGE_LOG_CALL(part->begin_ns, part_id = nvtxRangeStartA("part"));
    RANGE_LOG_CALL(whole->end_ns, nvtxRangeEnd(whole_id));
    RANGE_LOG_CALL(part->end_ns, nvtxRangeEnd(part_id));
    pthread_join(loader, NULL);
    /* One too many, and one that never ends. */
    (void)nvtxRangePop();
    (void)nvtxRangePushA("never ended");
    FILE *truth = truth_open(NULL);
    range_log_print(truth);
    truth_close(truth);
    return 0;
}
