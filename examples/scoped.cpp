/* SPDX-License-Identifier: MIT */
/*
 * scoped - spans that end where their scope does, also when it is left by a throw
 *
 *     stax record -- ./scoped; stax target top
 */
#include <stax/target.hpp>

#include <ctime>
#include <deque>
#include <stdexcept>
#include <utility>

struct job {
    int number;
    stax_origin origin;
};

static volatile unsigned long sum;

static void handle(const job &job)
{
    for (unsigned i = 0; i < 1000000; i++) {
        sum = sum + i;
    }
    if (job.number % 10 == 0) {
        throw std::runtime_error("refused");
    }
}

int main()
{
    const std::time_t end = std::time(nullptr) + 2;
    const stax::lane lane("handler", STAX_LANE_EXECUTOR);
    const stax::name request("request"), transaction("transaction");
    std::deque<job> jobs;

    for (int number = 0; std::time(nullptr) < end; number++) {
        jobs.push_back(job{number, lane.origin()});
        /* A span can be handed on: this one ends when the job is done with. */
        stax::span whole(lane, transaction);
        const job next = jobs.front();
        jobs.pop_front();
        try {
            stax::span span(lane, request, next.origin);
            handle(next);
        } catch (const std::runtime_error &) {
            stax::span span(lane, "answer: no");
        }
        stax::span held(std::move(whole));
    }
    return 0;
}
