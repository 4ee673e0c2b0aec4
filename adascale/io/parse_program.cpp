#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/io/graph_reader.h"
#include "adascale/io/json_fields.h"
#include "adascale/io/program_checks.h"
#include "adascale/io/pt2.h"

namespace adascale {
namespace {

using nlohmann::json;

constexpr int kSchemaMajor = 8;  // torch/_export/serde/schema.py of PyTorch 2.13

void check_schema(const json& document) {
  const int64_t major = read_int(document.at("schema_version").at("major"));
  ADA_CHECK(major == kSchemaMajor,
            "the export schema's version is {}, expected {}; export the model again with PyTorch 2.13", major,
            kSchemaMajor);
}

void read_graph(Program& program) {
  GraphReader reader(program, *program.document);
  try {
    reader.read();
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("{}: not as torch.export writes it: {}", reader.place(), reason_of(error));
  } catch (const c10::Error& error) {  // boundary: a device string or a list that libtorch refuses
    fail("{}: {}", reader.place(), first_line(error.what_without_backtrace()));
  } catch (const Error& error) {  // boundary: names the place
    fail("{}: {}", reader.place(), error.what());
  }
}

std::shared_ptr<const json> parse_document(const std::string& text) {
  check_nesting(text, "the program");
  try {
    auto document = std::make_shared<json>(json::parse(text));
    check_schema(*document);
    return document;
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("the program is not a torch.export document: {}", reason_of(error));
  }
}

}  // namespace

Program parse_program(const std::string& text, std::unordered_map<std::string, at::Tensor> state) {
  Program program;
  program.document = parse_document(text);
  program.state = std::move(state);
  read_graph(program);
  link(program);
  check_operators(program);
  check_eval_mode(program);
  check_state(program);
  return program;
}

}  // namespace adascale
