// What libconfuse makes of configuration files: a small program with a schema
// of the same keys. Each FILE is parsed in a child (libconfuse keeps state
// after an error), in the working directory, and printed as one line:
//   > refused
//   > key=[value|...] key(title){...} ...        values and titles escaped;
//   options in the order of the schema, not the file
// (libconfuse's scanner prints characters that it does not know: hence the "> ".)
// The test prints our own tree in the same form.
#include <confuse.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "escape.h"

namespace {

// The types of libconfuse are not used: as texts, the values are compared
// before any conversion.
const char* const kScalars[] = {
    "dns_listen_port",   "resolver_timeout",     "max_in_flight",      "tcp_idle_timeout", "tcp_max_connections",
    "tcp_max_in_flight", "max_probes_in_flight", "max_tls_handshakes", "data_file",        "state_max_age",
    "control_socket",    "http_listen",          "log_level",          "workers",          "user"};
const char* const kLists[] = {"nameservers", "dns_bind_interfaces", "allow_clients"};
const char* const kNameScalars[] = {"ttl",
                                    "answer_count",
                                    "min_available",
                                    "selection_method",
                                    "group_rtt_threshold",
                                    "switch_margin",
                                    "switch_margin_min",
                                    "switch_dwell",
                                    "rtt_mode",
                                    "max_rtt",
                                    "failure_mode",
                                    "https_records",
                                    "fall",
                                    "rise",
                                    "ok_reset"};
const char* const kNameLists[] = {"fixed_addresses"};
const char* const kCheckScalars[] = {"check_frequency",      "check_frequency_changing",
                                     "check_frequency_down", "check_timeout",
                                     "check_method",         "check_port",
                                     "check_path",           "check_host",
                                     "check_tls_verify",     "check_ca_file",
                                     "expect_body"};
const char* const kCheckLists[] = {"check_headers", "expect_status"};
const char* const kCandidateScalars[] = {"check_address", "tier", "weight"};

using Options = std::vector<cfg_opt_t>;

template <std::size_t N>
void scalars(Options& to, const char* const (&keys)[N]) {
  for (const auto* key : keys) to.push_back(CFG_STR(key, nullptr, CFGF_NONE));
}
template <std::size_t N>
void lists(Options& to, const char* const (&keys)[N]) {
  for (const auto* key : keys) to.push_back(CFG_STR_LIST(key, nullptr, CFGF_NONE));
}

void show(cfg_t* section, std::string& out) {
  for (unsigned i = 0; i < cfg_num(section); ++i) {
    cfg_opt_t* option = cfg_getnopt(section, i);
    const std::string key = cfg_opt_name(option);
    if (key == "include" || cfg_opt_size(option) == 0) continue;
    if (key == "name" || key == "candidate" || key == "defaults") {
      for (unsigned j = 0; j < cfg_opt_size(option); ++j) {
        cfg_t* one = cfg_opt_getnsec(option, j);
        if (key == "defaults" && cfg_opt_size(option) == 0) continue;
        const char* title = cfg_title(one);
        out += " " + key + "(" + (title == nullptr ? "" : escaped(title)) + "){";
        show(one, out);
        out += " }";
      }
      continue;
    }
    if (cfg_opt_getnstr(option, 0) == nullptr) continue;  // not given
    out += " " + key + "=[";
    for (unsigned j = 0; j < cfg_opt_size(option); ++j) {
      if (j > 0) out += "|";
      out += escaped(cfg_opt_getnstr(option, j));
    }
    out += "]";
  }
}

int parse(const char* path) {
  Options candidate, name, defaults, top;
  scalars(candidate, kCandidateScalars);
  for (auto* options : {&candidate, &name, &defaults}) {
    if (options != &candidate) {
      scalars(*options, kNameScalars);
      lists(*options, kNameLists);
    }
    scalars(*options, kCheckScalars);
    lists(*options, kCheckLists);
    if (options != &name) {
      options->push_back(CFG_FUNC("include", &cfg_include));
      options->push_back(CFG_END());
    }
  }
  name.push_back(CFG_SEC("candidate", candidate.data(), CFGF_MULTI | CFGF_TITLE));
  name.push_back(CFG_FUNC("include", &cfg_include));
  name.push_back(CFG_END());
  scalars(top, kScalars);
  lists(top, kLists);
  top.push_back(CFG_SEC("defaults", defaults.data(), CFGF_MULTI));
  top.push_back(CFG_SEC("name", name.data(), CFGF_MULTI | CFGF_TITLE));
  top.push_back(CFG_FUNC("include", &cfg_include));
  top.push_back(CFG_END());

  cfg_t* config = cfg_init(top.data(), CFGF_NONE);
  cfg_set_error_function(config, [](cfg_t*, const char*, va_list) {});
  std::string out;
  if (cfg_parse(config, path) == CFG_SUCCESS) {
    show(config, out);
  } else {
    out = "refused";
  }
  std::printf("\n> %s\n", out.c_str());
  std::fflush(stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(parse(argv[i]));
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    if (status != 0) {
      std::puts("\n> crashed");
      std::fflush(stdout);
    }
  }
  return 0;
}
