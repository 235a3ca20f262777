// How the options that are texts and lists are read and stored: addresses, paths, headers, status ranges. Each reports
// what is wrong with a value at that value's own place, and goes on with the next value. Thread: any.  Tested by:
// stores_test.cc
#pragma once

#include "config/schema.h"

namespace har::config {

void store_nameservers(const Reading& reading, Draft& draft);
void store_dns_bind_interfaces(const Reading& reading, Draft& draft);
void store_allow_clients(const Reading& reading, Draft& draft);
void store_http_listen(const Reading& reading, Draft& draft);
void store_data_file(const Reading& reading, Draft& draft);
void store_control_socket(const Reading& reading, Draft& draft);
void store_user(const Reading& reading, Draft& draft);
void store_fixed_addresses(const Reading& reading, Draft& draft);
void store_check_address(const Reading& reading, Draft& draft);
void store_check_path(const Reading& reading, Draft& draft);
void store_check_host(const Reading& reading, Draft& draft);
void store_check_headers(const Reading& reading, Draft& draft);
void store_check_ca_file(const Reading& reading, Draft& draft);
void store_expect_status(const Reading& reading, Draft& draft);
void store_expect_body(const Reading& reading, Draft& draft);

}  // namespace har::config
