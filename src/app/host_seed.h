// What makes this host another than its neighbours, for selection_method = hash: its machine-id and its name. Clones
// and containers often share the one, hosts of different domains sometimes the other. Source: SEMANTICS "Selecting".
// Thread: any.  Tested by: host_seed_test.cc
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace har::app {

// The first line of the first of `id_files` that has one; "uninitialized", as systemd writes it into an image's, is
// none.
std::string host_seed(const std::vector<std::string>& id_files, std::string_view host_name);
std::string host_seed();

}  // namespace har::app
