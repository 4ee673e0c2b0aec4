"""AdaScale in five steps on a small model: simulate, learn, calibrate, evaluate, export.

python examples/python/seed_workflow.py [FOLDER] [--device DEVICE]

FOLDER, "./" by default, gets the exported files; DEVICE is cuda:0 where there is one, else the CPU.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adascale import QuantizationSimModel, QuantScheme, apply_adascale, default_forward_fn


class LinearBlock(nn.Module):
    """[..., 64] to [..., 64] through 32."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.relu1 = nn.ReLU()
        self.dropout = nn.Dropout(0.1)
        self.fc2 = nn.Linear(32, 64)
        # With PyTorch's start the output would hardly depend on the input, unlike a trained model's.
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.kaiming_normal_(self.fc2.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout(self.relu1(self.fc1(x))))


class ModelWithConsecutiveLinearBlocks(nn.Module):
    """Five blocks in a row, found without being registered anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_blocks = nn.ModuleList(LinearBlock() for _ in range(5))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.linear_blocks:
            x = block(x)
        return self.softmax(x)


def simulate(model: nn.Module, dummy_input: Tensor) -> QuantizationSimModel:
    return QuantizationSimModel(
        model,
        dummy_input=dummy_input,
        quant_scheme=QuantScheme.training_range_learning_with_tf_init,
        default_param_bw=4,
        default_output_bw=16,
    )


def relative_error(model: nn.Module, quantized: nn.Module, batches: list[Tensor]) -> float:
    """Squared error of the outputs over their variance about each feature's mean."""
    with torch.no_grad():
        expected = torch.cat([model(x) for x in batches])
        got = torch.cat([quantized(x) for x in batches])
    return ((got - expected).square().sum() / (expected - expected.mean((0, 1, 2))).square().sum()).item()


def main(folder: str, device: str) -> None:
    torch.manual_seed(0)
    model = ModelWithConsecutiveLinearBlocks().eval().to(device)
    dummy_input = torch.rand(96, 3, 32, 64).to(device)
    data_loader = DataLoader(dummy_input, batch_size=3, shuffle=True)  # 32 batches of 3 samples
    held_out = [torch.rand(3, 3, 32, 64).to(device) for _ in range(8)]

    def forward_pass(simulated: nn.Module, _: None) -> None:
        for batch in data_loader:
            simulated(batch)

    nearest = simulate(model, dummy_input)
    nearest.compute_encodings(forward_pass, None)

    sim = simulate(model, dummy_input)
    report = apply_adascale(qsim=sim, data_loader=data_loader, forward_fn=default_forward_fn, num_epochs=10)
    sim.compute_encodings(forward_pass, None)
    print(report)

    print("relative error of the outputs on samples not trained on")
    print(f"  round-to-nearest  {relative_error(model, nearest.model, held_out):.4%}")
    print(f"  AdaScale          {relative_error(model, sim.model, held_out):.4%}")

    files = sim.export(path=folder, filename_prefix="quantized_dummy_model", dummy_input=dummy_input.cpu())
    print("exported", *files, sep="\n  ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default="./")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    main(arguments.folder, arguments.device)
