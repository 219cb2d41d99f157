/* SPDX-License-Identifier: MIT */

/*
 * jvm_agent - has a Java virtual machine write a jitdump, as its profiling agents do
 *
 * java -agentpath:…/libjvm_agent.so=FOLDER: FOLDER/jit-PID.dump, mapped
 * executable so that profilers find it.
 */

#include <jvmti.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "jit_write.h"

#define NAME_BYTES 1024

static struct jit_writer writer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t next_index;

static void write_code(const char *name, const void *code, jint n_bytes)
{
    pthread_mutex_lock(&lock);
    const struct jit_told told = {
        .name = name, .code = code, .n_bytes = (size_t)n_bytes, .index = ++next_index};
    jit_write_code(&writer, &told);
    pthread_mutex_unlock(&lock);
}

static void JNICALL on_method(jvmtiEnv *jvmti, jmethodID method, jint n_bytes, const void *code,
                              jint n_places, const jvmtiAddrLocationMap *places, const void *info)
{
    char *name = NULL, *signature = NULL, *class_name = NULL, text[NAME_BYTES];
    jclass declaring;
    (void)n_places;
    (void)places;
    (void)info;
    if ((*jvmti)->GetMethodName(jvmti, method, &name, &signature, NULL) == JVMTI_ERROR_NONE &&
        (*jvmti)->GetMethodDeclaringClass(jvmti, method, &declaring) == JVMTI_ERROR_NONE &&
        (*jvmti)->GetClassSignature(jvmti, declaring, &class_name, NULL) == JVMTI_ERROR_NONE) {
        snprintf(text, sizeof text, "%s%s%s", class_name, name, signature);
        write_code(text, code, n_bytes);
    }
    (*jvmti)->Deallocate(jvmti, (unsigned char *)name);
    (*jvmti)->Deallocate(jvmti, (unsigned char *)signature);
    (*jvmti)->Deallocate(jvmti, (unsigned char *)class_name);
}

static void JNICALL on_stub(jvmtiEnv *jvmti, const char *name, const void *code, jint n_bytes)
{
    (void)jvmti;
    write_code(name, code, n_bytes);
}

JNIEXPORT jint JNICALL Agent_OnLoad(JavaVM *machine, char *options, void *reserved)
{
    jvmtiEnv *jvmti;
    const jvmtiCapabilities wanted = {.can_generate_compiled_method_load_events = 1};
    const jvmtiEventCallbacks callbacks = {.CompiledMethodLoad = on_method,
                                           .DynamicCodeGenerated = on_stub};
    (void)reserved;
    if ((*machine)->GetEnv(machine, (void **)&jvmti, JVMTI_VERSION_1) != JNI_OK ||
        (*jvmti)->AddCapabilities(jvmti, &wanted) != JVMTI_ERROR_NONE ||
        (*jvmti)->SetEventCallbacks(jvmti, &callbacks, sizeof callbacks) != JVMTI_ERROR_NONE) {
        return JNI_ERR;
    }
    if (jit_write_open(&writer, options, false, true, true) < 0) {
        return JNI_ERR;
    }
    (*jvmti)->SetEventNotificationMode(jvmti, JVMTI_ENABLE, JVMTI_EVENT_COMPILED_METHOD_LOAD, NULL);
    (*jvmti)->SetEventNotificationMode(jvmti, JVMTI_ENABLE, JVMTI_EVENT_DYNAMIC_CODE_GENERATED,
                                       NULL);
    return JNI_OK;
}

JNIEXPORT void JNICALL Agent_OnUnload(JavaVM *machine)
{
    (void)machine;
    pthread_mutex_lock(&lock);
    jit_write_close(&writer);
    writer = (struct jit_writer){0};
    pthread_mutex_unlock(&lock);
}
