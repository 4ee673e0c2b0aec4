#include "adascale/graph/size_expression.h"

#include <algorithm>
#include <cctype>
#include <unordered_set>

namespace adascale {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

bool is_number(const std::string& word) {
  const size_t digits = word.rfind('-', 0) == 0 ? 1 : 0;
  return word.size() > digits && word.size() - digits <= 18 &&
         std::all_of(word.begin() + static_cast<int64_t>(digits), word.end(),
                     [](unsigned char c) { return std::isdigit(c); });
}

/// Replaces every `opening ... closing` by the text between them.
std::string unwrap(const std::string& text, const std::string& opening, const std::string& inner_end) {
  std::string unwrapped;
  size_t from = 0;
  for (size_t at = text.find(opening); at != std::string::npos; at = text.find(opening, from)) {
    const size_t start = at + opening.size(), end = text.find(inner_end, start), close = text.find(')', end);
    if (end == std::string::npos || close == std::string::npos) break;
    unwrapped.append(text, from, at - from).append(text, start, end - start);
    from = close + 1;
  }
  return unwrapped.append(text, from);
}

/// Recursive descent over `word` and `word(expression, ...)`.
class Evaluator {
 public:
  Evaluator(const std::string& text, const SymbolSizes& sizes) : text_(text), sizes_(sizes) {}

  std::optional<int64_t> evaluate() {
    const auto result = expression();
    return at_ == text_.size() ? result : std::nullopt;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  std::optional<int64_t> expression() {
    std::string word;
    for (; is_word(peek()); ++at_) word += peek();
    if (peek() == '(') return apply(word);
    if (is_number(word)) return std::stoll(word);
    const auto found = sizes_.find(word);
    return found == sizes_.end() ? std::nullopt : std::optional(found->second);
  }

  std::optional<int64_t> apply(const std::string& function) {
    constexpr int kDeepest = 200;
    if ((function != "Add" && function != "Mul") || ++depth_ > kDeepest) return std::nullopt;
    int64_t result = function == "Mul";
    do {
      ++at_;  // past '(' or ','
      while (peek() == ' ') ++at_;
      const auto operand = expression();
      if (!operand) return std::nullopt;
      const bool overflows = function == "Add" ? __builtin_add_overflow(result, *operand, &result)
                                               : __builtin_mul_overflow(result, *operand, &result);
      if (overflows) return std::nullopt;
    } while (peek() == ',');
    if (peek() != ')') return std::nullopt;
    ++at_;
    --depth_;
    return result;
  }

  const std::string& text_;
  const SymbolSizes& sizes_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string shorten_expression(const std::string& srepr) {
  return unwrap(unwrap(srepr, "Symbol('", "'"), "Integer(", ")");
}

std::vector<std::string> symbols_of(const std::string& expression) {
  std::vector<std::string> symbols;
  std::unordered_set<std::string> known;
  for (size_t at = 0; at < expression.size();) {
    std::string word;
    for (; at < expression.size() && is_word(expression[at]); ++at) word += expression[at];
    const bool is_function = at < expression.size() && expression[at] == '(';
    if (!word.empty() && !is_function && !is_number(word) && known.insert(word).second)
      symbols.push_back(word);
    if (word.empty()) ++at;
  }
  return symbols;
}

std::optional<int64_t> evaluate_expression(const std::string& expression, const SymbolSizes& sizes) {
  return Evaluator(expression, sizes).evaluate();
}

std::optional<int64_t> solve_expression(const std::string& expression, SymbolSizes sizes,
                                        const std::string& unknown, int64_t value) {
  const auto at = [&](int64_t size) {
    sizes[unknown] = size;
    return evaluate_expression(expression, sizes);
  };
  const auto offset = at(0), next = at(1);
  if (!offset || !next || *next == *offset) return std::nullopt;
  const int64_t slope = *next - *offset, rest = value - *offset;
  if (rest % slope != 0 || at(rest / slope) != value) return std::nullopt;
  return rest / slope;
}

}  // namespace adascale
