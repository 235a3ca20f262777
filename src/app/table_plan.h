// What a configuration means for the sockets and for the answer table.
// Thread: any; no state.  Tested by: table_plan_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/messages.h"
#include "base/ip.h"
#include "config/config.h"
#include "table/writer.h"

namespace har::app {

// What is listened to: the addresses written, or the default.
std::vector<Prepare::Address> listen_addresses(const config::Config& config);
// Who is answered: as written, or loopback and the addresses listened to.
std::vector<IpPrefix> allowed_clients(const config::Config& config);
table::Plan table_plan(const config::Config& config, std::uint64_t generation);
std::vector<std::string> host_names(const config::Config& config);  // by slot

}  // namespace har::app
