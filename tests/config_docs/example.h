// The text of conf/har.conf.example, made from the schema: every key with its default and its line of documentation.
// Lines that begin with '#' and anything but a blank are configuration in waiting; '# ' is prose.
#pragma once

#include <string>

namespace har::config_docs {

std::string example_text();

}  // namespace har::config_docs
