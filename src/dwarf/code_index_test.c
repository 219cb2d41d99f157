/* SPDX-License-Identifier: MIT */
/*
 * Real compilers, real readers: a program is built in every way that writes
 * debug information differently, and at random addresses of its code the
 * chain of functions and places must be that of addr2line or of llvm-symbolizer. Both have
 * faults: binutils takes the wrong file for some rows of DWARF 5 and does not
 * find the ranges that clang writes there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "dwarf/code_index.h"
#include "images/elf_file.h"

#define N_ADDRESSES 1000
#define MAX_PLACES 64

static const char cxx_source[] =
    "#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
    "namespace shop { namespace {\n"
    "struct item { std::string name; int price; };\n"
    "static inline int helper(int a) { int s = 0; for (int i = 0; i < a; i++) s += i ^ a;"
    " return s; }\n"
    "template<class T> struct box { T v; box(T x) : v(x) {}\n"
    "  __attribute__((always_inline)) inline T twice() const { return v + v + helper(v); } };\n"
    "}\n"
    "__attribute__((noinline)) int work(std::vector<item> &v) {\n"
    "  std::sort(v.begin(), v.end(), [](const item &a, const item &b)"
    " { return a.price < b.price; });\n"
    "  int s = 0;\n"
    "  for (auto &i : v) s += box<int>(i.price).twice() + (int)i.name.size();\n"
    "  return s; } }\n"
    "int main(int argc, char **) {\n"
    "  std::vector<shop::item> v; std::map<std::string, int> m;\n"
    "  for (int i = 0; i < argc * 10; i++) {\n"
    "    v.push_back({\"x\" + std::to_string(i), i % 7}); m[v.back().name]++; }\n"
    "  return shop::work(v) == (int)m.size(); }\n";

static const char rust_source[] =
    "use std::collections::HashMap;\n"
    "#[inline(always)] fn mix(a: u64) -> u64 { a.wrapping_mul(0x9E3779B97F4A7C15) }\n"
    "fn main() { let mut m: HashMap<String, u64> = HashMap::new();\n"
    "  let mut v: Vec<u64> = (0..100).collect();\n"
    "  for i in 0..9u64 { v.sort_by_key(|x| mix(*x + i));\n"
    "    *m.entry(format!(\"{}\", i)).or_insert(0) += v.iter().map(|x| mix(*x)).sum::<u64>() >> "
    "40; }\n"
    "  println!(\"{:?}\", m); }\n";

static const char c_source[] =
    "#include <stdlib.h>\n#include <string.h>\n"
    "struct node { struct node *next; unsigned key; char text[24]; };\n"
    "static inline unsigned mix(unsigned x)\n{\n  x ^= x >> 15;\n  return x * 2654435761u;\n}\n"
    "static inline struct node *find(struct node *at, unsigned key)\n{\n"
    "  while (at && mix(at->key) != mix(key))\n    at = at->next;\n  return at;\n}\n"
    "static inline int add(struct node **list, unsigned key)\n{\n"
    "  struct node *made = find(*list, key);\n  if (made)\n    return 0;\n"
    "  made = calloc(1, sizeof(*made));\n  if (!made)\n    abort();\n"
    "  memset(made->text, (int)mix(key), sizeof(made->text));\n"
    "  made->key = key;\n  made->next = *list;\n  *list = made;\n  return 1;\n}\n"
    "static int compare(const void *a, const void *b)\n{\n"
    "  unsigned one = mix(*(const unsigned *)a), other = mix(*(const unsigned *)b);\n"
    "  return (one > other) - (one < other);\n}\n"
    "__attribute__((noinline)) int count(unsigned n)\n{\n"
    "  struct node *list = NULL;\n  unsigned keys[64];\n  int s = 0;\n"
    "  for (unsigned i = 0; i < n; i++) {\n    keys[i % 64] = i;\n    s += add(&list, i * i);\n  "
    "}\n"
    "  qsort(keys, 64, sizeof(keys[0]), compare);\n"
    "  return find(list, keys[0]) ? s : -s;\n}\n"
    "int main(int argc, char **argv)\n{\n  return count((unsigned)argc * 20) + (argv == "
    "NULL);\n}\n";

enum { BY_ADDR2LINE = 1, BY_LLVM = 2, BY_EITHER = 3 };

struct way {
    const char *compiler;
    const char *command; /* run by sh in the folder; makes "prog", "alt" where dwz does, and
                          * "readable" for readers that do not know the compression */
    int readers;         /* who can read it; a place that one of them agrees to is right */
    const char *tool;    /* also needed, or NULL */
};

static const struct way ways[] = {
    {"gcc", "gcc -O2 -g t.c -o prog", BY_EITHER, NULL},
    {"gcc", "gcc -O3 -gdwarf-4 -static t.c -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -gdwarf-2 t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -gdwarf-3 t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -gdwarf-4 t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -gdwarf-5 t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -gdwarf-2 -gstrict-dwarf t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -g1 t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -g -gz t.cc -o prog", BY_EITHER, NULL},
    {"g++",
     "g++ -O2 -g t.cc -o plain && objcopy --compress-debug-sections=zstd plain prog && "
     "objcopy --decompress-debug-sections prog readable",
     BY_EITHER, "objcopy"},
    {"g++", "g++ -O2 -g -flto t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -g -ffunction-sections -Wl,--gc-sections t.cc -o prog", BY_EITHER, NULL},
    {"g++", "g++ -O2 -g -gdwarf64 t.cc -o prog", BY_LLVM, NULL},
    {"g++", "g++ -O2 -gdwarf-4 -gsplit-dwarf -c t.cc && g++ t.o -o prog", BY_LLVM, NULL},
    {"g++", "g++ -O2 -gdwarf-5 -gsplit-dwarf -c t.cc && g++ t.o -o prog", BY_LLVM, NULL},
    {"g++",
     "g++ -O2 -gdwarf-4 -gsplit-dwarf -c t.cc && g++ t.o -o prog && dwp -e prog -o prog.dwp && "
     "rm t.dwo",
     BY_LLVM, "dwp"},
    {"g++", "g++ -O2 -gdwarf-4 t.cc -o prog && dwz prog", BY_EITHER, "dwz"},
    {"g++", "g++ -O2 -gdwarf-5 t.cc -o prog && dwz prog", BY_EITHER, "dwz"},
    {"g++", "g++ -O2 -g t.cc -o prog && cp prog prog2 && dwz -m alt prog prog2", BY_EITHER, "dwz"},
    {"clang", "clang -O2 -g t.c -o prog", BY_LLVM, NULL},
    {"clang++", "clang++ -O2 -gdwarf-2 t.cc -o prog", BY_EITHER, NULL},
    {"clang++", "clang++ -O2 -gdwarf-3 t.cc -o prog", BY_EITHER, NULL},
    {"clang++", "clang++ -O2 -gdwarf-4 t.cc -o prog", BY_EITHER, NULL},
    {"clang++", "clang++ -O2 -gdwarf-5 t.cc -o prog", BY_LLVM, NULL},
    {"clang++", "clang++ -O2 -g -gz t.cc -o prog", BY_LLVM, NULL},
    {"clang++", "clang++ -O2 -gdwarf-4 -gsplit-dwarf -c t.cc && clang++ t.o -o prog", BY_LLVM,
     NULL},
    {"clang++", "clang++ -O2 -gdwarf-5 -gsplit-dwarf -c t.cc && clang++ t.o -o prog", BY_LLVM,
     NULL},
    {"clang++",
     "clang++ -O2 -gdwarf-5 -gsplit-dwarf -c t.cc && clang++ t.o -o prog && "
     "llvm-dwp -e prog -o prog.dwp && rm t.dwo",
     BY_LLVM, "llvm-dwp"},
    {"rustc", "rustc -g -O t.rs -o prog", BY_EITHER, NULL},
};

struct place {
    char function[1024]; /* as the linker calls it, where it does */
    char file[1024];
    uint32_t line;
};

static char folder[] = "/tmp/stax-code-index-XXXXXX";

static bool has_tool(const char *name)
{
    char command[128];
    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

static int run(const char *command)
{
    char full[1024];
    snprintf(full, sizeof(full), "cd %s && { %s; } >log 2>&1", folder, command);
    return system(full);
}

static void write_source(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    write_source("t.c", c_source);
    write_source("t.cc", cxx_source);
    write_source("t.rs", rust_source);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static int open_in_folder(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Writes the addresses to the file "addresses". */
static void choose_addresses(uint64_t *ret_addresses)
{
    _cleanup_(fd_closep) int fd = open_in_folder("prog");
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    struct elf_section text;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    assert_true(elf_file_section_named(elf, ".text", &text));
    unsigned seed = 7;
    char path[128];
    snprintf(path, sizeof(path), "%s/addresses", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < N_ADDRESSES; i++) {
        ret_addresses[i] = text.image_addr + (uint64_t)rand_r(&seed) % text.n_bytes;
        fprintf(file, "0x%" PRIx64 "\n", ret_addresses[i]);
    }
    assert_int_equal(fclose(file), 0);
}

/* "/a/b/../c.h:12 (discriminator 3)", "??:0", "t.cc:?"; the file without its folders' detours. */
static void parse_place(char *text, struct place *ret_place)
{
    text[strcspn(text, "\n ")] = '\0';
    char *colon = strrchr(text, ':');
    /* llvm-symbolizer adds the column. */
    if (colon && strspn(colon + 1, "0123456789?") == strlen(colon + 1)) {
        ret_place->line = (uint32_t)strtoul(colon + 1, NULL, 10);
        *colon = '\0';
    }
    snprintf(ret_place->file, sizeof(ret_place->file), "%.*s", (int)sizeof(ret_place->file) - 1,
             text);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static size_t find_places(const struct code_index *index, uint64_t address,
                          struct place places[MAX_PLACES])
{
    const struct code_line *row = index ? code_index_find_line(index, address) : NULL;
    const char *file = row ? index->files[row->file].path : NULL;
    uint32_t line = row ? row->line : 0;
    uint32_t call = index ? code_index_find_call(index, address) : CODE_INDEX_NONE;
    size_t n = 0;
    for (;;) {
        assert_true(n < MAX_PLACES);
        snprintf(places[n].file, sizeof(places[n].file), "%s", file ? file : "??");
        places[n].function[0] = '\0';
        places[n++].line = line;
        if (call == CODE_INDEX_NONE) {
            return n; /* which function this is, the symbol table says */
        }
        const struct code_call *made = &index->calls[call];
        const char *name = index->functions[made->function].name;
        assert_non_null(name);
        snprintf(places[n - 1].function, sizeof(places[n - 1].function), "%s", name);
        file = made->call_file != CODE_INDEX_NONE ? index->files[made->call_file].path : NULL;
        line = made->call_line;
        call = made->parent;
    }
}

/* One reader's answers for one way. */
struct check {
    bool may_lack_names; /* llvm-symbolizer finds none in what dwz made for several files */
    size_t n_names;      /* of inlined functions that were compared and are right */
    bool *are_right;     /* by address; what another reader agrees to stays */
};

/* Other readers do not put the scopes before a name that the linker does not know. */
static bool is_function(const char *ours, const char *theirs, struct check *check)
{
    if (strcmp(theirs, "??") == 0) {
        return check->may_lack_names;
    }
    size_t n_ours = strlen(ours);
    size_t n_theirs = strlen(theirs);
    if (n_ours < n_theirs || strcmp(ours + n_ours - n_theirs, theirs) != 0) {
        return false;
    }
    bool is_same = n_ours == n_theirs || ours[n_ours - n_theirs - 1] == ':';
    check->n_names += is_same;
    return is_same;
}

static bool are_equal(const struct place *ours, size_t n_ours, const struct place *theirs,
                      size_t n_theirs, struct check *check)
{
    /* Without debug information binutils still names the file of the symbol. */
    if (n_ours == 1 && ours[0].line == 0 && n_theirs == 1 && theirs[0].line == 0) {
        return true;
    }
    for (size_t i = 0; i < n_theirs && n_ours == n_theirs; i++) {
        if (ours[i].line != theirs[i].line ||
            (ours[i].line != 0 && strcmp(base_of(ours[i].file), base_of(theirs[i].file)) != 0) ||
            (i + 1 < n_ours && !is_function(ours[i].function, theirs[i].function, check))) {
            return false;
        }
    }
    return n_ours == n_theirs;
}

static struct code_index **load_all(struct dwarf_file *file)
{
    struct code_index **indexes = calloc(file->units.n_units + 1, sizeof(struct code_index *));
    assert_non_null(indexes);
    for (uint32_t i = 0; i < file->units.n_units; i++) {
        assert_int_equal(code_index_build(file, i, &indexes[i]), 0);
    }
    return indexes;
}

/* Reads one answer of the reference: everything up to the next address. */
static size_t read_places(FILE *answers, char *line, size_t line_bytes,
                          struct place places[MAX_PLACES])
{
    size_t n = 0;
    bool is_place = false;
    while (fgets(line, (int)line_bytes, answers) && strncmp(line, "0x", 2) != 0) {
        if (line[0] == '\n') {
            continue;
        }
        if (is_place && n < MAX_PLACES) {
            parse_place(line, &places[n++]);
        } else if (n < MAX_PLACES) {
            snprintf(places[n].function, sizeof(places[n].function), "%.*s",
                     (int)strcspn(line, "\n"), line);
        }
        is_place = !is_place;
    }
    return n;
}

static void compare(const struct dwarf_file *file, struct code_index *const *indexes,
                    const uint64_t *addresses, FILE *answers, struct check *check)
{
    static struct place ours[MAX_PLACES], theirs[MAX_PLACES];
    static char line[1 << 16];
    assert_non_null(fgets(line, sizeof(line), answers));
    for (size_t i = 0; i < N_ADDRESSES; i++) {
        assert_int_equal(strtoull(line, NULL, 16), addresses[i]);
        size_t n_theirs = read_places(answers, line, sizeof(line), theirs);
        uint32_t unit = dwarf_file_find_unit(file, addresses[i]);
        size_t n_ours =
            find_places(unit != DWARF_UNIT_NONE ? indexes[unit] : NULL, addresses[i], ours);
        check->are_right[i] |= are_equal(ours, n_ours, theirs, n_theirs, check);
    }
}

static void ask_reader(int reader, const struct dwarf_file *file, struct code_index *const *indexes,
                       const uint64_t *addresses, struct check *check)
{
    char command[512];
    snprintf(command, sizeof(command),
             "cd %s && file=prog && if [ -e readable ]; then file=readable; fi && "
             "%s <addresses 2>/dev/null",
             folder,
             reader == BY_LLVM ? "llvm-symbolizer -a --inlines --functions=linkage --no-demangle "
                                 "--output-style=GNU -e $file"
                               : "addr2line -a -i -f -e $file");
    FILE *answers = popen(command, "r");
    assert_non_null(answers);
    compare(file, indexes, addresses, answers, check);
    (void)pclose(answers);
}

static void check_all(const struct way *way, int readers, const uint64_t *addresses,
                      const bool *are_right)
{
    size_t n_right = 0;
    for (size_t i = 0; i < N_ADDRESSES; i++) {
        n_right += are_right[i];
        if (!are_right[i] && n_right == i) {
            print_message("0x%" PRIx64 " is the first that differs\n", addresses[i]);
        }
    }
    print_message("%zu of %d equal: %s\n", n_right, N_ADDRESSES, way->command);
    /* One reader alone may be the one that is at fault. Strict DWARF 2 does not say where all of
     * a unit's code is; some of it is found by its lines, which do not begin with the code. */
    bool is_exact = readers == BY_EITHER && !strstr(way->command, "strict");
    assert_true(n_right >= (is_exact ? N_ADDRESSES : N_ADDRESSES * 98 / 100));
}

/* Names that are compared at the least. Of a static program nearly all is the C library's. */
static size_t least_of(const struct way *way)
{
    if (strstr(way->command, "-static")) {
        return 0;
    }
    return strstr(way->command, "t.c ") ? N_ADDRESSES / 10 : N_ADDRESSES;
}

static void try_way(const struct way *way)
{
    int readers =
        (has_tool("addr2line") ? BY_ADDR2LINE : 0) | (has_tool("llvm-symbolizer") ? BY_LLVM : 0);
    readers &= way->readers;
    if (!has_tool(way->compiler) || readers == 0 || (way->tool && !has_tool(way->tool))) {
        print_message("left out, a tool is missing: %s\n", way->command);
        return;
    }
    (void)run("rm -f prog* plain readable alt *.dwo *.o");
    if (run(way->command) != 0) {
        print_message("left out, it does not build here: %s\n", way->command);
        return;
    }
    static uint64_t addresses[N_ADDRESSES];
    choose_addresses(addresses);
    char path[128];
    snprintf(path, sizeof(path), "%s/prog", folder);
    struct dwarf_file *file = NULL;
    assert_int_equal(
        dwarf_file_open(open_in_folder("prog"), open_in_folder("alt"), path, NULL, 0, &file), 0);
    struct code_index **indexes = load_all(file);

    bool are_right[N_ADDRESSES] = {false};
    size_t n_names = 0;
    size_t least_names = 0;
    for (int reader = BY_ADDR2LINE; reader <= BY_LLVM; reader *= 2) {
        if ((readers & reader) != 0) {
            struct check check = {
                .may_lack_names = reader == BY_LLVM && strstr(way->command, "dwz -m"),
                .are_right = are_right,
            };
            ask_reader(reader, file, indexes, addresses, &check);
            if (!check.may_lack_names) {
                least_names = least_of(way);
                n_names += check.n_names;
            }
        }
    }
    check_all(way, readers, addresses, are_right);
    assert_true(n_names >= least_names);
    for (size_t i = 0; i < file->units.n_units; i++) {
        code_index_free(indexes[i]);
    }
    free(indexes);
    dwarf_file_free(file);
}

static void test_chains_of_other_readers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        try_way(&ways[i]);
    }
}

static const struct code_function *find_function(const struct code_index *index, const char *name)
{
    for (size_t i = 0; i < index->n_functions; i++) {
        if (index->functions[i].name && strcmp(index->functions[i].name, name) == 0) {
            return &index->functions[i];
        }
    }
    return NULL;
}

/* Nothing is mangled in line tables only; the scopes come from the entries around. */
static void test_names_without_a_linkers_name(void **state)
{
    (void)state;
    if (!has_tool("g++")) {
        skip();
    }
    write_source("n.cc", "namespace a { namespace { struct b { int v;\n"
                         "  inline int twice(int x) const { return v * x; } }; } }\n"
                         "extern \"C\" inline int plain(int x) { return x * 5; }\n"
                         "int use(int x) { a::b y{x}; return y.twice(x) + plain(x); }\n");
    assert_int_equal(run("rm -f prog; g++ -O2 -g -shared -fPIC n.cc -o prog"), 0);
    struct dwarf_file *file = NULL;
    assert_int_equal(dwarf_file_open(open_in_folder("prog"), -1, "prog", NULL, 0, &file), 0);
    struct code_index *index = NULL;
    assert_int_equal(code_index_build(file, 0, &index), 0);
    const struct code_function *twice = find_function(index, "a::(anonymous namespace)::b::twice");
    assert_non_null(twice);
    assert_false(twice->is_mangled);
    assert_int_equal(twice->declared_at, 2);
    assert_non_null(find_function(index, "plain"));
    code_index_free(index);
    dwarf_file_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_of_other_readers),
        cmocka_unit_test(test_names_without_a_linkers_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
