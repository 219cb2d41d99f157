// SPDX-License-Identifier: MIT
//
// A program with oneTBB, whose library speaks ITT by itself: a flow graph and a loop. Prints how
// many bodies of nodes ran.
#define TBB_USE_PROFILING_TOOLS 1

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include <tbb/flow_graph.h>
#include <tbb/parallel_for.h>

int main()
{
    constexpr int n_items = 50;
    std::atomic<int> n_bodies{0}, n_turns{0};
    // The graph makes the library look for its tools; then one comes, if there is one.
    tbb::flow::graph graph;
    tbb::flow::function_node<int, int> square(graph, tbb::flow::unlimited, [&](int value) {
        n_bodies++;
        return value * value;
    });
    tbb::flow::function_node<int, int> add(graph, tbb::flow::serial, [&](int value) {
        n_bodies++;
        return value + 1;
    });
    tbb::flow::make_edge(square, add);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    for (int i = 0; i < n_items; i++) {
        square.try_put(i);
    }
    graph.wait_for_all();
    tbb::parallel_for(0, 1000, [&](int) { n_turns++; });
    std::printf("{\"bodies\": %d, \"turns\": %d}\n", n_bodies.load(), n_turns.load());
    return 0;
}
