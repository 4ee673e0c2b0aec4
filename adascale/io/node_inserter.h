#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/io/pt2.h"

namespace adascale {

/// Writes nodes into a copy of a program's export document.
class NodeInserter {
 public:
  /// `program` must outlive the inserter.
  explicit NodeInserter(const Program& program);

  /// Inserts all of them; several on one value apply in the order given.
  void insert(const std::vector<InsertedNode>& nodes);
  const nlohmann::json& document() const { return document_; }

 private:
  struct Place {
    nlohmann::json::json_pointer graph;  ///< the (sub)graph that holds the value
    size_t position;                     ///< where the new node goes in it
    std::string name;                    ///< the value's name there
  };

  void insert(const InsertedNode& node);
  Place place_of(ValueId value) const;
  nlohmann::json describe(const InsertedNode& node, const std::string& operand,
                          const std::string& result) const;

  const Program& program_;
  nlohmann::json document_;
  std::unordered_set<std::string> names_;
};

}  // namespace adascale
