// A line of the configuration file: `name value`. The value is the rest of the line, or stands in quotes: in
// double ones \n \r \t \a \b \\ \" and \xHH are escapes, in single ones only \' is. Master.
#pragma once

#include <string>
#include <string_view>

namespace memento {

struct ConfigLine {
  std::string name;   ///< empty: a comment, or nothing
  std::string value;  ///< without its quotes
  std::string error;  ///< what is wrong, or empty
};

ConfigLine parse_config_line(std::string_view line);

}  // namespace memento
