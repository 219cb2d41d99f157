/* SPDX-License-Identifier: MIT */
#ifndef STAX_TARGET_HPP
#define STAX_TARGET_HPP

/*
 * stax/target.hpp - stax/target.h for C++11: a span ends where its scope does
 *
 *     stax::lane lane("decoder");                       // once
 *     stax::name frame("decode frame");
 *
 *     stax_origin origin = lane.origin();               // where work is queued
 *     ...
 *     {
 *         stax::span span(lane, frame, origin);         // where it runs
 *         decode();
 *     }
 *
 * No function throws or allocates. What is said in stax/target.h of threads,
 * signal handlers, fork and limits holds here as well.
 */

#include <stax/target.h>

namespace stax
{

inline bool recording_active() noexcept
{
    return stax_recording_active();
}

/* Where work runs, beside the threads. Copies are the same lane. */
class lane
{
  public:
    lane() noexcept : lane_()
    {
    }
    explicit lane(const char *name, stax_lane_kind kind = STAX_LANE_GENERIC) noexcept
        : lane_(stax_lane_new_kind(name, kind))
    {
    }
    lane(stax_lane other) noexcept : lane_(other)
    {
    }

    /* The calling thread, now: goes with the work that it queues. */
    stax_origin origin() const noexcept
    {
        return stax_recording_active() ? stax_origin_capture(lane_) : stax_no_origin();
    }
    stax_lane get() const noexcept
    {
        return lane_;
    }

  private:
    stax_lane lane_;
};

/* A name that is told once. Copies are the same name. */
class name
{
  public:
    name() noexcept : name_()
    {
    }
    explicit name(const char *text) noexcept : name_(stax_name(text))
    {
    }
    /* Of something that runs inside of `outer`. */
    name(const name &outer, const char *text) noexcept : name_(stax_name_inside(outer.name_, text))
    {
    }
    name(stax_name_id other) noexcept : name_(other)
    {
    }

    stax_name_id get() const noexcept
    {
        return name_;
    }

  private:
    stax_name_id name_;
};

/* Begins where it is made, ends in end() or its destructor, whichever is first. It can be moved,
 * also to another thread; what it was moved from reports nothing. */
class span
{
  public:
    span() noexcept : span_()
    {
    }
    span(const lane &where, const name &what, stax_origin origin = stax_no_origin()) noexcept
        : span_()
    {
        if (stax_recording_active()) {
            span_ = stax_span_begin_named(where.get(), what.get(), origin);
        }
    }
    span(const lane &where, const char *what, stax_origin origin = stax_no_origin()) noexcept
        : span_()
    {
        if (stax_recording_active()) {
            span_ = stax_span_begin(where.get(), what, origin);
        }
    }
    span(span &&other) noexcept : span_(other.span_)
    {
        other.span_.start_ns = 0;
    }
    span &operator=(span &&other) noexcept
    {
        if (this != &other) {
            end();
            span_ = other.span_;
            other.span_.start_ns = 0;
        }
        return *this;
    }
    span(const span &) = delete;
    span &operator=(const span &) = delete;
    ~span()
    {
        end();
    }

    void end() noexcept
    {
        if (span_.start_ns != 0) {
            stax_span_end(&span_);
        }
    }
    /* Nobody hears of it. */
    void discard() noexcept
    {
        span_.start_ns = 0;
    }

  private:
    stax_span span_;
};

} // namespace stax

#endif
