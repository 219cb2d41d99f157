/* SPDX-License-Identifier: MIT */
#include "server/capture_choice.h"

const struct capture_ops *capture_choice_for(const struct start_request *request)
{
    return request->replay ? &capture_fake_ops : capture_choice_host();
}

const struct capture_ops *capture_choice_host(void)
{
    return &capture_linux_ops;
}

const struct capture_ops *capture_choice_import(void)
{
    return &capture_import_ops;
}
