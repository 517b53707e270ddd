"""The benchmark's networks in PyTorch, drawn in the same order: convolutional ones as the field writes them (RepDistiller)."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, channels, stride, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, depth, widths):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0])
        blocks, inputs = [], widths[0]
        for stage, channels in enumerate(widths[1:]):
            for i in range((depth - 2) // 6):
                stride, downsample = (2 if stage > 0 and i == 0 else 1), None
                if stride != 1 or inputs != channels:
                    downsample = nn.Sequential(
                        nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                    )
                blocks.append(Block(inputs, channels, stride, downsample))
                inputs = channels
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(inputs, 100)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        return self.fc(F.avg_pool2d(self.blocks(F.relu(self.bn1(self.conv1(x)))), 8).flatten(1))


class WideBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = None if inputs == channels else nn.Conv2d(inputs, channels, 1, stride, bias=False)

    def forward(self, x):
        out = F.relu(self.bn1(x))
        rest = x if self.shortcut is None else self.shortcut(out)
        return rest + self.conv2(F.relu(self.bn2(self.conv1(out))))


class WideResNet(nn.Module):
    def __init__(self, depth, factor):
        super().__init__()
        self.conv1, inputs, blocks = nn.Conv2d(3, 16, 3, padding=1, bias=False), 16, []
        for stage in range(3):
            for i in range((depth - 4) // 6):
                blocks.append(WideBlock(inputs, 16 * factor << stage, 2 if stage > 0 and i == 0 else 1))
                inputs = 16 * factor << stage
        self.blocks, self.bn1, self.fc = nn.Sequential(*blocks), nn.BatchNorm2d(inputs), nn.Linear(inputs, 100)
        draw(self, linear=False)

    def forward(self, x):
        return self.fc(F.avg_pool2d(F.relu(self.bn1(self.blocks(self.conv1(x)))), 8).flatten(1))


class VGG8(nn.Module):
    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for i, channels in enumerate([64, 128, 256, 512, 512]):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if i < 3 else []
            inputs = channels
        self.layers, self.classifier = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), nn.Linear(512, 100)
        draw(self)

    def forward(self, x):
        return self.classifier(self.layers(x).flatten(1))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, channels, stride, factor):
        super().__init__()
        self.is_residual, hidden = stride == 1 and inputs == channels, inputs * factor
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Half as wide."""

    def __init__(self):
        super().__init__()
        layers, inputs = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)], 16
        stages = [(1, 8, 1, 1), (6, 12, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1)]
        for factor, channels, blocks, stride in stages:
            for i in range(blocks):
                layers.append(InvertedResidual(inputs, channels, stride if i == 0 else 1, factor))
                inputs = channels
        layers += [nn.Conv2d(inputs, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU(inplace=True)]
        self.layers, self.classifier = nn.Sequential(*layers), nn.Linear(1280, 100)
        draw(self)

    def forward(self, x):
        return self.classifier(F.avg_pool2d(self.layers(x), 2).flatten(1))


class TextTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(1000, 128)
        with torch.no_grad():
            self.tokens.weight[0] = 0
            self.tokens.weight[1:] = torch.randn(999, 128) * 0.02
        self.positions = nn.Parameter(torch.randn(64, 128) * 0.02)
        options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        self.layers = nn.Sequential(*(nn.TransformerEncoderLayer(128, 4, 512, **options) for _ in range(2)))
        self.norm, self.fc = nn.LayerNorm(128), nn.Linear(128, 10)

    def forward(self, ids):
        return self.fc(self.norm(self.layers(self.tokens(ids) + self.positions)).mean(1))


def draw(network, linear=True):
    for m in network.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, 0, math.sqrt(2 / (m.kernel_size[0] * m.kernel_size[1] * m.out_channels)))
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            if linear:
                nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)


NETWORKS = {
    "resnet20": lambda: ResNet(20, [16, 16, 32, 64]),
    "resnet8x4": lambda: ResNet(8, [32, 64, 128, 256]),
    "resnet32x4": lambda: ResNet(32, [32, 64, 128, 256]),
    "wrn_16_2": lambda: WideResNet(16, 2),
    "vgg8": VGG8,
    "MobileNetV2": MobileNetV2,
    "transformer": TextTransformer,
}
