# The tree's own rules: who may include whom (src/LAYERS), and what the answerer must not be linked with.
add_test(NAME tree.rules
         COMMAND /usr/bin/python3 -B -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_LIST_DIR}/test_tree.py)
set_tests_properties(tree.rules PROPERTIES TIMEOUT 60)
if(TARGET hard-answerer)
  set_tests_properties(tree.rules PROPERTIES ENVIRONMENT "HAR_ANSWERER=$<TARGET_FILE:hard-answerer>")
endif()
