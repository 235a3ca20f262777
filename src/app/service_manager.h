// What a service manager (systemd, or another that speaks its protocol) wants to hear: sd_notify(3), without the
// library.
#pragma once

#include <string_view>

namespace har::app {

// Sends `state` ("READY=1") to $NOTIFY_SOCKET; does nothing when there is none.
void tell_service_manager(std::string_view state);

}  // namespace har::app
