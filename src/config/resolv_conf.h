// /etc/resolv.conf: its nameserver lines, as far as a forwarder needs it (resolv.conf(5)); everything else is ignored.
// Thread: any.  Tested by: resolv_conf_test.cc, tests/fuzz/config_fuzz.cc
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace har::config {

// The index of a network interface; 0: there is none such. As if_nametoindex(3).
using InterfaceIndex = std::function<std::uint32_t(const std::string& interface)>;

// The addresses in order, each once, port 53. Scope ids by number, or by name when `interface_index` is given. Empty
// when the text is empty, names no address, or is cut in the middle of one: the caller keeps its last list then.
std::vector<IpPort> parse_resolv_conf(std::string_view text, const InterfaceIndex& interface_index = {});

}  // namespace har::config
