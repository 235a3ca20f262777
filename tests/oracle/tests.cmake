# The DNS part against dnspython: a small program says what our code understood, the test what dnspython did.
# Debian's own interpreter, since python3-dnspython and python3-pytest belong to it.
add_executable(dns_oracle ${CMAKE_CURRENT_LIST_DIR}/dns_oracle.cc)
target_link_libraries(dns_oracle PRIVATE har_dns)
add_test(NAME oracle.dns
         COMMAND /usr/bin/python3 -B -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_LIST_DIR}/test_dns_oracle.py)
set_tests_properties(oracle.dns PROPERTIES TIMEOUT 300 ENVIRONMENT "HAR_DNS_ORACLE=$<TARGET_FILE:dns_oracle>")
