/* SPDX-License-Identifier: MIT */
#include "query/dispatch_hint.h"

#include <string.h>

/* A name begins so; what may follow is a suffix: "_ptsz", "KHR", "2". */
static const char *const prefixes[] = {
    "cuLaunchKernel", /* CUDA driver; also cuLaunchKernelEx */
    "cuGraphLaunch",  /* … a recorded graph of kernels */
    "cudaLaunch",     /* CUDA runtime: cudaLaunchKernel, cudaLaunchCooperativeKernel */
    "cudaGraphLaunch",
    "__cudaLaunch",
    "hipLaunchKernel", /* ROCm */
    "hipModuleLaunchKernel",
    "hipExtLaunchKernel",
    "hipGraphLaunch",
    "vkQueueSubmit",          /* Vulkan; also vkQueueSubmit2, vkQueueSubmit2KHR */
    "clEnqueueNDRangeKernel", /* OpenCL */
    "clEnqueueTask",
    "zeCommandQueueExecuteCommandLists", /* oneAPI Level Zero */
};

/* Metal's are methods of classes whose names depend on the driver. */
static bool is_metal_commit(const char *function)
{
    const char *command_buffer = strstr(function, "CommandBuffer");
    return function[0] == '-' && function[1] == '[' && command_buffer &&
           strstr(command_buffer, " commit") != NULL;
}

bool dispatch_hint_is_dispatch(const char *function)
{
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (strncmp(function, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return is_metal_commit(function);
}

const char *dispatch_hint(const struct query_context *context, const struct call_tree *tree)
{
    for (uint32_t i = 0; i < tree->n_functions && context->snapshot->n_lanes == 0; i++) {
        const char *function = tree->functions[i].symbol->name;
        if (dispatch_hint_is_dispatch(function)) {
            return arena_printf(
                context->arena,
                "%.60s hands work to a GPU, which no lane reports: `stax record --spans nvtx -- …` "
                "shows the NVTX ranges of a program, libstax-target what it reports itself",
                function);
        }
    }
    return NULL;
}
