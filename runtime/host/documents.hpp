// What the host reads beside the network: JSON (RFC 8259), of which a manifest needs this much, and
// arrays in .npy files. Take a library of your own in its place where you have one.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using Row = std::vector<double>;
using Matrix = std::vector<Row>;  // (T, C)

[[noreturn]] inline void fail(const std::string& words) { throw std::runtime_error(words); }

// A value, its texts in UTF-8.
struct Json {
  enum Kind { Null, Number, Text, List, Object } kind = Null;  // true and false are as null
  double number = 0;
  std::string text;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> fields;

  const Json* find(const std::string& key) const {
    for (const auto& field : fields)
      if (field.first == key && field.second.kind != Null) return &field.second;
    return nullptr;
  }
  const Json& at(const std::string& key) const {
    if (const Json* found = find(key)) return *found;
    fail("the document has no '" + key + "'");
  }
  double number_or(const std::string& key, double usual) const {
    const Json* found = find(key);
    return found ? found->number : usual;
  }
  std::string text_or(const std::string& key, const std::string& usual) const {
    const Json* found = find(key);
    return found ? found->text : usual;
  }
  Row numbers() const {
    Row row;
    for (const Json& item : items) row.push_back(item.number);
    return row;
  }
};

class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : text_(text) {}

  Json read() {
    Json value;
    const char next = peek();
    if (next == '{' || next == '[') {
      value.kind = next == '{' ? Json::Object : Json::List;
      const char end = next == '{' ? '}' : ']';
      for (++place_; peek() != end; peek() == ',' ? ++place_ : place_) {
        std::string key = next == '{' ? string() : "";
        if (next == '{') expect(':'), value.fields.emplace_back(std::move(key), read());
        else value.items.push_back(read());
        if (peek() != ',' && peek() != end) fail("the document lacks a comma");
      }
      ++place_;
    } else if (next == '"') {
      value.kind = Json::Text;
      value.text = string();
    } else if (!word("null") && !word("true") && !word("false")) {
      char* end = nullptr;
      value.kind = Json::Number;
      value.number = std::strtod(text_.c_str() + place_, &end);
      if (end == text_.c_str() + place_) fail("the document is no JSON");
      place_ = end - text_.c_str();
    }
    return value;
  }

 private:
  char peek() {
    while (place_ < text_.size() && std::strchr(" \t\r\n", text_[place_])) ++place_;
    return place_ < text_.size() ? text_[place_] : '\0';
  }
  void expect(char letter) {
    if (peek() != letter) fail(std::string("the document lacks a ") + letter);
    ++place_;
  }
  bool word(const std::string& wanted) {
    if (text_.compare(place_, wanted.size(), wanted) != 0) return false;
    place_ += wanted.size();
    return true;
  }
  std::string string() {
    std::string found;
    for (expect('"'); place_ < text_.size() && text_[place_] != '"';) {
      if (text_[place_] != '\\') {
        found += text_[place_++];
        continue;
      }
      const char kind = text_.at(place_ + 1);
      place_ += 2;
      const char* plain = std::strchr("b\bf\fn\nr\rt\t", kind);
      if (kind != 'u') {
        found += plain ? plain[1] : kind;
        continue;
      }
      unsigned code = hex();
      if (code >= 0xD800 && code < 0xDC00 && word("\\u"))
        code = 0x10000 + ((code - 0xD800) << 10) + (hex() - 0xDC00);
      const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      found += static_cast<char>((more ? 0xFF00 >> (more + 1) & 0xFF : 0) | code >> (6 * more));
      for (int k = more - 1; k >= 0; --k) found += static_cast<char>(0x80 | ((code >> (6 * k)) & 0x3F));
    }
    expect('"');
    return found;
  }
  unsigned hex() {
    place_ += 4;
    return std::stoul(text_.substr(place_ - 4, 4), nullptr, 16);
  }

  const std::string& text_;
  size_t place_ = 0;
};

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("'" + path + "' cannot be read");
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

// An array in a .npy file of version 1, whose type and shape golden.json has.
struct Array {
  std::string dtype, bytes;
  std::vector<int64_t> shape;

  Array(const std::string& folder, const Json& golden, const std::string& name) {
    const Json& known = golden.at("arrays").at(name);
    dtype = known.at("dtype").text;
    for (double size : known.at("shape").numbers()) shape.push_back(static_cast<int64_t>(size));
    const std::string file = read_file(folder + "/" + known.at("file").text);
    const size_t header = file.size() < 10 ? 0 : static_cast<unsigned char>(file[8]) +
                                                     256 * static_cast<unsigned char>(file[9]);
    size_t size = dtype == "uint8" ? 1 : dtype == "float32" ? 4 : 8;
    for (int64_t one : shape) size *= one;
    if (file.size() != 10 + header + size) fail("'" + name + "' is not of its shape");
    bytes = file.substr(10 + header);
  }
  double value(size_t index) const {
    if (dtype == "float32") return reinterpret_cast<const float*>(bytes.data())[index];
    if (dtype == "float64") return reinterpret_cast<const double*>(bytes.data())[index];
    return static_cast<double>(reinterpret_cast<const int64_t*>(bytes.data())[index]);
  }
  Matrix matrix() const {  // (T, C), and (T, 1) of (T,)
    const int64_t width = shape.size() > 1 ? shape[1] : 1;
    Matrix found(shape[0], Row(width));
    for (int64_t i = 0; i < shape[0] * width; ++i) found[i / width][i % width] = value(i);
    return found;
  }
};
