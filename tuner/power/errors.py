"""Errors of power and GPUs, each with the mend in its message.

PowerError
├── NvmlMissingError          there is no NVML here: no driver, or no GPU passed into the container
├── NvmlError                 a call to NVML failed
│   ├── NotSupportedError     this GPU or driver cannot do it
│   ├── PermissionDeniedError only root may do it
│   └── GpuLostError          the GPU fell off the bus, or waits for a reset
├── VisibleGpusError          CUDA_VISIBLE_DEVICES names what is not here
├── TooFewGpusError           fewer GPUs can be used than a trial needs
├── PowerRefusedError         a power limit or a clock that the GPU cannot take
├── PowerInUseError           another paretune controls the power of this GPU now
├── JournalError              what was set before cannot be written down, or not be put back
└── EnergyUnavailableError    the energy of this machine cannot be read
TakeCancelledError            the caller asked to stop while it waited for GPUs
"""

from tuner.errors import TunerError


class PowerError(TunerError):
    """Root of the errors of power and GPUs."""


class NvmlMissingError(PowerError):
    """There is no NVML on this machine."""


class NvmlError(PowerError):
    """A call to NVML failed."""


class NotSupportedError(NvmlError):
    """This GPU or this driver cannot do what was asked."""


class PermissionDeniedError(NvmlError):
    """Only root may do what was asked."""


class GpuLostError(NvmlError):
    """The GPU does not answer any more."""


class VisibleGpusError(PowerError):
    """CUDA_VISIBLE_DEVICES cannot be followed."""


class TooFewGpusError(PowerError):
    """Fewer GPUs can be used than were asked for."""


class PowerRefusedError(PowerError):
    """The GPU cannot take this power limit or this clock."""


class PowerInUseError(PowerError):
    """Another owner that lives controls the power of this GPU."""


class JournalError(PowerError):
    """What was set before cannot be written down, or not be put back."""


class EnergyUnavailableError(PowerError):
    """The energy of this machine cannot be read."""


class TakeCancelledError(TunerError):
    """The caller asked to stop while it waited for GPUs."""
