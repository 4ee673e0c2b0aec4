#include "doors.h"

#include <pybind11/stl.h>

#include "adascale/io/pt2.h"
#include "callbacks.h"
#include "formats.h"
#include "live_model.h"
#include "values.h"

namespace adascale::python {
namespace {

py::object to_python(const DataRequest& data) {
  const DataOptions& options = data.options;
  return py::module_::import("adascale.doors.door")
      .attr("DataRequest")(data.files, options.samples, options.seq_len, options.packing,
                           options.data_weights, data.seed, options.batch_size, data.device, data.blocks);
}

using Tensors = std::unordered_map<std::string, at::Tensor>;

/// Gives Python the parts' simulations, which stay C++'s.
RunningModel start(const std::shared_ptr<py::object>& opened, size_t batches, const PartedModel& model) {
  return in_python([&]() -> RunningModel {
    constexpr auto kLent = py::return_value_policy::reference;
    py::list sims;
    for (const SimPart& part : model.parts) sims.append(py::cast(&part.sim, kLent));
    const std::shared_ptr<py::object> runs = share(opened->attr("start")(sims, py::cast(&model, kLent)));
    return {
        to_live_model(*runs, batches, model), [runs](size_t batch) { run_quantized(*runs, batch); },
        [runs] {
          return in_python([&] {
            return to_named(runs->attr("state")().cast<std::vector<std::pair<std::string, at::Tensor>>>());
          });
        }};
  });
}

/// `opened`: an `adascale.doors.door.OpenedParts`, such as `adascale.doors.live.LiveModel`.
OpenedParts to_parts(const py::object& opened) {
  OpenedParts model;
  for (const py::handle& part : opened.attr("parts")) {
    const auto [path, graph, tensors] = part.cast<std::tuple<std::string, std::string, Tensors>>();
    model.parts.push_back({path, parse_program(graph, tensors)});
  }
  model.refusal = opened.attr("refusal").cast<std::string>();
  model.not_captured = to_left_out(opened.attr("not_captured").cast<Notes>());
  model.idle = opened.attr("idle").cast<std::vector<std::string>>();
  model.places = opened.attr("places").cast<std::vector<PlacedTensor>>();
  model.device = c10::Device(opened.attr("device").cast<std::string>());
  model.batches = opened.attr("batches").cast<int64_t>();
  model.samples = opened.attr("samples").cast<int64_t>();
  model.batch_size = opened.attr("batch_size").cast<int64_t>();
  model.first_batch = to_values(opened.attr("first_batch"));
  model.start = [held = share(opened), batches = static_cast<size_t>(model.batches)](
                    const PartedModel& parted) { return start(held, batches, parted); };
  return model;
}

/// `card`: an `adascale.doors.card_source.CardSource`.
CardSource to_card_source(const py::object& card) {
  return {card.attr("front_matter").cast<std::string>(), card.attr("model").cast<std::string>(),
          card.attr("license").cast<std::string>(),
          card.attr("license_files").cast<std::vector<std::string>>()};
}

OpenedModel to_model(const py::object& opened) {
  OpenedModel model;
  if (const py::object parts = opened.attr("parts"); !parts.is_none())
    model.parts = to_parts(parts);
  else
    model.program =
        parse_program(opened.attr("graph").cast<std::string>(), opened.attr("tensors").cast<Tensors>());
  model.stem = opened.attr("stem").cast<std::string>();
  model.samples = opened.attr("samples").cast<Samples>();
  model.notes = opened.attr("notes").cast<std::vector<std::string>>();
  model.source = {opened.attr("source").cast<std::string>(),
                  opened.attr("stored_names").cast<std::map<std::string, std::string>>()};
  model.is_from_file = opened.attr("is_from_file").cast<bool>();
  model.is_shared = opened.attr("is_shared").cast<bool>();
  if (const py::object writer = opened.attr("writer"); !writer.is_none())
    model.source.save = to_prepare(writer);
  if (const py::object decode = opened.attr("decode"); !decode.is_none())
    model.decode = [held = share(decode)](const std::vector<int64_t>& ids) {
      return in_python([&] { return (*held)(ids).cast<std::string>(); });
    };
  model.source.card = to_card_source(opened.attr("card"));
  return model;
}

}  // namespace

Door to_door(const py::object& door) {
  const std::shared_ptr<py::object> held = share(door);
  return {.name = door.attr("name").cast<std::string>(),
          .description = door.attr("description").cast<std::string>(),
          .data = door.attr("data").cast<std::string>(),
          .formats = door.attr("formats").cast<std::vector<std::string>>(),
          .matches =
              [held](const std::string& model) {
                return in_python([&] { return held->attr("matches")(model).cast<bool>(); });
              },
          .open =
              [held](const std::string& model, const DataRequest& data) {
                return in_python([&] { return to_model(held->attr("open")(model, to_python(data))); });
              }};
}

}  // namespace adascale::python
