#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace adascale {

/// Sizes by symbol name.
using SymbolSizes = std::unordered_map<std::string, int64_t>;

/// Rewrites sympy's `srepr` as torch.export stores it: "Mul(Integer(16), Symbol('s77', integer=True))"
/// becomes "Mul(16, s77)", a lone symbol its name.
std::string shorten_expression(const std::string& srepr);

/// The symbols in a shortened expression, each once.
std::vector<std::string> symbols_of(const std::string& expression);

/// The value of a shortened expression; nothing when a symbol is not among `sizes` or a function other than
/// Add and Mul is applied.
std::optional<int64_t> evaluate_expression(const std::string& expression, const SymbolSizes& sizes);

/// The size of `unknown` at which a linear `expression` equals `value`; nothing
/// when it is not an integer.
std::optional<int64_t> solve_expression(const std::string& expression, SymbolSizes sizes,
                                        const std::string& unknown, int64_t value);

}  // namespace adascale
